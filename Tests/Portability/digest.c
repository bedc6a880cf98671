// Prints a digest of what each kernel path of this machine computes. The lines must agree, between paths and between
// machines: `make portability` compares those of x86-64 with those of arm64 under an emulator.
#include "CPithKernels.h"
#include "CPithLeanMixer.h"
#include "CPithMixKernels.h"
#include "CPithStreamKernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { INPUTS = 17, OUTPUTS = 48, COLUMNS = 192 };

static uint64_t state;
static uint32_t next(void) {
    state = state * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(state >> 33);
}

static uint64_t digest;
/// FNV-1a.
static void see(const void *data, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) digest = (digest ^ ((const uint8_t *)data)[i]) * 1099511628211ull;
}

static void *room(size_t bytes) {
    void *memory = aligned_alloc(64, (bytes + 63) / 64 * 64 + 64);
    if (!memory) abort();
    memset(memory, 0, bytes);
    return memory;
}

static float *random_floats(int count) {
    float *values = room((size_t)count * sizeof(float));
    for (int i = 0; i < count; i++) values[i] = (float)((int)(next() % 20001) - 10000) / 3000.0f;
    return values;
}

static void see_products(const pith_kernels *k, const pith_packed *w, const float *x, int group) {
    float *y = room(sizeof(float) * INPUTS * OUTPUTS);
    for (int rows = 1; rows <= INPUTS; rows += 16) {
        pith_narrow_rows narrow = {.bytes = room(INPUTS * COLUMNS), .scales = room(INPUTS * COLUMNS / 8),
                                   .sums = room(INPUTS * COLUMNS / 8), .rows = rows, .columns = COLUMNS,
                                   .group = group};
        if (group == 32) narrow.half_sums = room(INPUTS * COLUMNS / 4);
        for (int tile = 0; tile * PITH_TILE_ROWS < rows; tile++) k->narrow_rows(x, COLUMNS, tile, &narrow);
        k->multiply_packed(w, 0, OUTPUTS / 16, &narrow, y, OUTPUTS);
        see(y, sizeof(float) * (size_t)rows * OUTPUTS);
        free(narrow.bytes);
        free(narrow.scales);
        free(narrow.sums);
        free(narrow.half_sums);
    }
    k->multiply_packed_floats(w, 0, OUTPUTS / 16, x, INPUTS, COLUMNS, y, OUTPUTS);
    see(y, sizeof(float) * INPUTS * OUTPUTS);
    free(y);
}

static void see_rows(const pith_kernels *k, const pith_packed *w) {
    float *row = room(sizeof(float) * COLUMNS);
    for (int n = 0; n < OUTPUTS; n++) {
        k->decode_packed(w, n, COLUMNS, row);
        see(row, sizeof(float) * COLUMNS);
    }
    free(row);
}

static void see_packed(const pith_kernels *k, const float *x, int packing, int group) {
    pith_packed w = {.packing = (pith_packing)packing, .tile_bytes = 64 * packing, .tiles = COLUMNS / 32,
                     .group = group / 32, .groups = COLUMNS / group, .zero = 1 << (packing - 1)};
    size_t bytes = (size_t)(OUTPUTS / 16 * w.tiles * w.tile_bytes), scales = (size_t)(OUTPUTS * w.groups);
    uint8_t *codes = room(bytes);
    uint16_t *halves = room(scales * 2);
    for (size_t i = 0; i < bytes; i++) codes[i] = (uint8_t)next();
    for (size_t i = 0; i < scales; i++) halves[i] = (uint16_t)(0x2000 + next() % 1000);
    w.codes = codes;
    w.scales = halves;
    see_products(k, &w, x, group);
    free(codes);
    free(halves);
}

/// Scales of two levels, and minima.
static void see_scaled(const pith_kernels *k, const float *x, int packing, pith_scaling scaling) {
    int bits = packing >= PITH_CODEBOOK_2 ? packing - PITH_CODEBOOK_2 + 2 : packing;
    int grouped = scaling != PITH_TILE_MINIMA;
    pith_packed w = {.packing = (pith_packing)packing, .scaling = scaling, .tile_bytes = 64 * bits,
                     .tiles = COLUMNS / 32, .group = grouped ? 2 : 1, .zero = packing >= PITH_CODEBOOK_2 ? 128 : 4};
    w.groups = w.tiles / w.group;
    size_t bytes = (size_t)(OUTPUTS / 16 * w.tiles * w.tile_bytes), places = (size_t)(OUTPUTS * w.tiles * 2);
    uint8_t *codes = room(bytes), *factors = room(places), table[16];
    uint16_t *halves = room(places * 2);
    for (size_t i = 0; i < bytes; i++) codes[i] = (uint8_t)next();
    for (size_t i = 0; i < places; i++) factors[i] = (uint8_t)(scaling == PITH_EXPONENTS ? 100 + next() % 40 : next());
    for (size_t i = 0; i < places; i++) halves[i] = (uint16_t)(0x2000 + next() % 1000);
    for (int i = 0; i < 16; i++) table[i] = (uint8_t)next();
    w.codes = codes;
    w.factors = factors;
    w.scales = halves;
    w.tables = table;
    see_products(k, &w, x, 32);
    see_rows(k, &w);
    free(codes);
    free(factors);
    free(halves);
}

/// Masks that keep anything, and lists of tiles.
static void see_sparse(const pith_kernels *k, const float *x, int bits, int masked) {
    enum { TILES = COLUMNS / 32, BLOCKS = OUTPUTS / 16 };
    pith_packed w = {.packing = (pith_packing)(masked ? PITH_MASKED_2 + bits - 2 : bits),
                     .tile_bytes = masked ? 1 : 64 * bits, .tiles = TILES, .group = 2, .groups = TILES / 2};
    size_t bytes = OUTPUTS * COLUMNS + 64, scales = (size_t)(OUTPUTS * w.groups);
    uint8_t *codes = room(bytes), *masks = room(BLOCKS * TILES * 64), *zeros = room(scales);
    uint16_t *halves = room(scales * 2), tiles[BLOCKS * TILES];
    uint32_t offsets[BLOCKS + 1];
    for (size_t i = 0; i < bytes; i++) codes[i] = (uint8_t)next();
    for (size_t i = 0; i < BLOCKS * TILES * 64; i++) masks[i] = (uint8_t)next();
    for (size_t i = 0; i < scales; i++) zeros[i] = (uint8_t)(next() % (1u << bits));
    for (size_t i = 0; i < scales; i++) halves[i] = (uint16_t)(0x2000 + next() % 1000);
    // Any place to begin will do here.
    for (uint32_t b = 0; b <= BLOCKS; b++) offsets[b] = masked ? 1000 * b : 3 * b;
    for (int i = 0; i < BLOCKS * TILES; i++) tiles[i] = (uint16_t)(i % 3 * 2);
    w.codes = codes;
    w.masks = masked ? masks : NULL;
    w.kept_tiles = masked ? NULL : tiles;
    w.offsets = offsets;
    w.scales = halves;
    w.zeros = zeros;
    see_products(k, &w, x, masked ? 64 : 32);
    see_rows(k, &w);
    free(codes);
    free(masks);
    free(zeros);
    free(halves);
}

/// Attention of 17 rows of three heads to one key head of `size` elements, over two segments.
static void see_attention(const pith_kernels *k, const float *x, pith_element type, int64_t size) {
    enum { ROWS = INPUTS, HEADS = 3, HELD = 90 };
    int64_t stride = pith_partial_stride(size), bytes = type == PITH_F32 ? 4 : 2;
    float *partials = room(sizeof(float) * (size_t)(2 * ROWS * HEADS * stride));
    float *widened = room(sizeof(float) * (size_t)(128 * size + 16)), *y = room(sizeof(float) * (size_t)(ROWS * HEADS * size));
    pith_cached_head head = {room((size_t)(PITH_SEGMENT * size * bytes)), room((size_t)((PITH_SEGMENT * size + 16) * bytes)),
                             type, type, size, size};
    for (int64_t position = 0; position < HELD; position += 10) {
        k->cache_keys(x + position * 7, size, 10, position, &head);
        k->cache_values(x + position * 11, size, 10, position, &head);
    }
    pith_queries queries = {x, ROWS, HEADS, HEADS * size, 0.2f};
    float *others = partials + ROWS * HEADS * stride;
    k->attend_segment(&queries, &head, HELD - ROWS + 1, widened, partials);
    k->attend_segment(&queries, &head, 5 - ROWS, NULL, others);
    k->merge_partials(partials, others, ROWS * HEADS, size);
    k->finish_attention(partials, &queries, size, y, HEADS * size);
    see(y, sizeof(float) * (size_t)(ROWS * HEADS * size));
    free(partials);
    free(widened);
    free(y);
    free(head.keys);
    free(head.values);
}

static void see_rest(const pith_kernels *k, const float *x) {
    enum { COUNT = 1000 };
    float *y = room(sizeof(float) * COUNT);
    k->multiply(x, INPUTS, COLUMNS, x + 7, 13, COLUMNS, COLUMNS - 5, y, 13);
    see(y, sizeof(float) * INPUTS * 13);
    k->activate(PITH_SILU, x, x + 5, COUNT, y);
    see(y, sizeof(float) * COUNT);
    for (int kind = PITH_GELU_TANH; kind <= PITH_BOUNDED_DECAY; kind++) {
        k->activate((pith_activation)kind, x, NULL, COUNT - 3, y);
        see(y, sizeof(float) * (COUNT - 3));
    }
    k->layer_norm(x, x + 9, x + 3, 1e-5f, COUNT - 5, y);
    see(y, sizeof(float) * (COUNT - 5));
    k->rms_norm(x, x + 9, 1e-5f, COUNT, y);
    see(y, sizeof(float) * COUNT);
    float sum = k->exp_sum(x, 3.0f, COUNT, y);
    see(&sum, sizeof sum);
    free(y);
}

/// Recurrences, over widths that are and are not whole vectors.
static void see_recurrences(const pith_kernels *k, const float *x) {
    enum { ROWS = 5, WIDTH = 21, SIZE = 19, HEADS = 2 };
    float *y = room(sizeof(float) * ROWS * HEADS * SIZE), *states = room(sizeof(float) * HEADS * SIZE * SIZE);
    float *shares = room(sizeof(float) * ROWS * HEADS * SIZE);
    for (int i = 0; i < ROWS * HEADS * SIZE; i++) shares[i] = (float)(next() % 1000) / 1000.0f;
    pith_selective_scan scan = {.rows = ROWS, .width = WIDTH, .size = SIZE, .inputs = x, .steps = shares,
                                .writes = x + 200, .reads = x + 300, .rates = x + 400, .skips = x + 900,
                                .states = states, .outputs = y};
    k->selective_scan(&scan, 0, WIDTH);
    see(y, sizeof(float) * ROWS * WIDTH);
    see(states, sizeof(float) * WIDTH * SIZE);
    for (int removes = 0; removes < 2; removes++) {
        memset(states, 0, sizeof(float) * HEADS * SIZE * SIZE);
        pith_matrix_recurrence m = {.rows = ROWS, .heads = HEADS, .size = SIZE, .receptances = x, .decays = shares,
                                    .keys = x + 200, .values = x + 400, .a = removes ? x + 600 : NULL,
                                    .b = removes ? x + 800 : NULL, .states = states, .outputs = y};
        k->matrix_recurrence(&m, 0, HEADS);
        see(y, sizeof(float) * ROWS * HEADS * SIZE);
        see(states, sizeof(float) * HEADS * SIZE * SIZE);
    }
    memset(states, 0, sizeof(float) * 3 * WIDTH);
    pith_exponential_average average = {.rows = ROWS, .width = WIDTH, .keys = x, .values = x + 200,
                                        .decays = x + 400, .bonuses = x + 500, .states = states, .outputs = y};
    k->exponential_average(&average, 0, WIDTH);
    see(y, sizeof(float) * ROWS * WIDTH);
    see(states, sizeof(float) * 3 * WIDTH);
    free(y);
    free(states);
    free(shares);
}

/// Any 16 bits, and now and then the least and the largest.
static int16_t next_half(void) {
    uint32_t bits = next();
    return (int16_t)(bits % 16 == 0 ? 0x8000 : bits % 16 == 1 ? 0x7FFF : bits >> 8);
}

/// The mixer of `mix`: predictions and steps of learning in turn.
static void see_mixing(const pith_mix_kernels *k) {
    enum { COUNT = 96, SETS = 5, STEPS = 50 };
    int16_t x[COUNT], weights[SETS * 2 * COUNT], errors[SETS];
    int64_t rows[SETS];
    int32_t sums[SETS];
    for (int i = 0; i < SETS * 2 * COUNT; i++) weights[i] = next_half();
    for (int s = 0; s < SETS; s++) rows[s] = 2 * COUNT * ((s * 3) % SETS);
    for (int step = 0; step < STEPS; step++) {
        for (int i = 0; i < COUNT; i++) x[i] = next_half();
        for (int s = 0; s < SETS; s++) errors[s] = step % 3 == s % 3 ? 0 : next_half();
        k->dot(x, COUNT, weights, rows, SETS, sums);
        see(sums, sizeof sums);
        k->train(x, COUNT, weights, rows, SETS, errors);
        see(weights, sizeof weights);
    }
}

/// The mixer of `lean`, which must compute what its reference does.
static void see_lean_mixing(void) {
    enum { COUNT = 24, STEPS = 50 };
    int16_t *x = room(COUNT * sizeof(int16_t));
    int32_t *weights = room(COUNT * sizeof(int32_t)), *plain = room(COUNT * sizeof(int32_t));
    for (int i = 0; i < COUNT; i++) plain[i] = weights[i] = (int32_t)(next() << 1);
    for (int step = 0; step < STEPS; step++) {
        for (int i = 0; i < COUNT; i++) x[i] = next_half();
        int16_t error = next_half();
        int32_t sum = pith_lean_dot(x, weights, COUNT);
        if (sum != pith_lean_dot_plain(x, plain, COUNT)) abort();
        see(&sum, sizeof sum);
        pith_lean_train(x, weights, COUNT, error);
        pith_lean_train_plain(x, plain, COUNT, error);
        if (memcmp(weights, plain, COUNT * sizeof(int32_t))) abort();
        see(weights, COUNT * sizeof(int32_t));
    }
    free(x);
    free(weights);
    free(plain);
}

/// A layer of the network that learns bytes, forward and back, and a step of learning.
static void see_network(const pith_stream_kernels *k) {
    enum { ROWS = 9, STREAMS = 3, INNER = 48, WIDTH = 32, COLUMNS_3 = 3 * WIDTH, WEIGHTS = INNER * COLUMNS_3 };
    float *x = random_floats(ROWS * INNER), *w = random_floats(WEIGHTS), *bias = random_floats(COLUMNS_3);
    float *gates = room(sizeof(float) * ROWS * COLUMNS_3), *slopes = random_floats(ROWS * WIDTH);
    float *states = random_floats((STREAMS + ROWS) * WIDTH), *peephole = random_floats(WIDTH);
    float *stream = room(sizeof(float) * ROWS * WIDTH), *normed = room(sizeof(float) * ROWS * WIDTH);
    float *carry = room(sizeof(float) * STREAMS * WIDTH), *back = room(sizeof(float) * ROWS * INNER);
    float *gradient = room(sizeof(float) * WEIGHTS), *square = room(sizeof(float) * WEIGHTS);
    float *mean = room(sizeof(float) * WEIGHTS), scales[ROWS], peepholes[WIDTH] = {0}, biases[COLUMNS_3] = {0};
    pith_stream_layer layer = {WIDTH, STREAMS, gates, states, peephole};
    k->multiply(x, w, bias, ROWS, INNER, COLUMNS_3, COLUMNS_3, gates);
    k->scan(&layer, 0, ROWS, 1, stream);
    k->normalize(stream, ROWS, WIDTH, normed, scales);
    see(normed, sizeof(float) * ROWS * WIDTH);
    k->normalize_back(normed, stream, scales, ROWS, WIDTH, slopes);
    k->scan_back(&layer, ROWS, slopes, carry, peepholes);
    see(gates, sizeof(float) * ROWS * COLUMNS_3);
    see(peepholes, sizeof peepholes);
    k->multiply_back(gates, w, ROWS, INNER, COLUMNS_3, INNER, back);
    k->outer(x, gates, ROWS, INNER, COLUMNS_3, INNER, gradient);
    k->sum_rows(gates, ROWS, COLUMNS_3, biases);
    see(back, sizeof(float) * ROWS * INNER);
    see(biases, sizeof biases);
    pith_stream_adam steps[] = {{0.01f, 0.9f, 0.99f, 3.0f, 1e-8f}, {0.01f, 0, 0.99f, 2.0f, 1e-8f}};
    for (int step = 0; step < 2; step++) k->adam(&steps[step], gradient, WEIGHTS, w, mean, square);
    see(w, sizeof(float) * WEIGHTS);
    float *rows = random_floats(2 * 256);
    k->softmax(rows, 2);
    see(rows, sizeof(float) * 2 * 256);
    float *all[] = {x, w, bias, gates, slopes, states, peephole, stream, normed, carry, back, gradient, square, mean, rows};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) free(all[i]);
}

int main(void) {
    static const char *names[] = {"baseline", "NEON dot", "AVX2", "AVX-VNNI", "AVX-512", "AVX-512 VNNI", "AVX-512 BF16"};
    for (int path = PITH_PATH_BASELINE; path <= PITH_PATH_AVX512_BF16; path++) {
        const pith_kernels *k = pith_kernels_of((pith_path)path);
        if (!k) continue;
        state = 1;
        digest = 14695981039346656037ull;
        float *x = random_floats(INPUTS * COLUMNS);
        for (int packing = PITH_CODES_2; packing <= PITH_CODES_8; packing++)
            for (int group = 32; group <= 64; group *= 2) see_packed(k, x, packing, group);
        for (int packing = PITH_CODES_2; packing <= PITH_CODES_8; packing++)
            if (packing != PITH_CODES_7) see_scaled(k, x, packing, PITH_TILE_MINIMA);
        see_scaled(k, x, PITH_CODES_5, PITH_FACTOR_MINIMA);
        see_scaled(k, x, PITH_CODES_2, PITH_HALF_MINIMA);
        see_scaled(k, x, PITH_CODES_6, PITH_HALF_FACTORS);
        see_scaled(k, x, PITH_CODEBOOK_4, PITH_FACTORS);
        see_scaled(k, x, PITH_CODEBOOK_4, PITH_EXPONENTS);
        for (int bits = 2; bits <= 8; bits++)
            for (int masked = 0; masked <= 1; masked++) see_sparse(k, x, bits, masked);
        for (pith_element type = PITH_F32; type <= PITH_BF16; type++)
            for (int64_t size = 20; size <= 64; size += 44) see_attention(k, x, type, size);
        see_rest(k, x);
        see_recurrences(k, x);
        see_mixing(pith_mix_kernels_of((pith_path)path));
        see_lean_mixing();
        see_network(pith_stream_kernels_of((pith_path)path));
        free(x);
        printf("%016llx %s\n", (unsigned long long)digest, names[path]);
    }
    return 0;
}
