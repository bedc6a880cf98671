// How tiles are written.

/// The other way round: what `read_codes` makes `v` of.
static void pack_tile(const uint8_t *codes, int64_t row_stride, int64_t vector_stride, int bits, uint8_t *target) {
    b64v v[8];
    for (int j = 0; j < 8; j++) {
        uint8_t bytes[64];
        for (int row = 0; row < 16; row++) memcpy(bytes + 4 * row, codes + row * row_stride + j * vector_stride, 4);
        v[j] = load64(bytes);
    }
    if (bits == 8) {
        for (int j = 0; j < 8; j++) store64(target + 64 * j, v[j]);
        return;
    }
    int shift = 0;
    for (int width = 4; width > 0; target += 64 * width, shift += width, width /= 2) {
        if (!(bits & width)) {
            target -= 64 * width;
            shift -= width;
            continue;
        }
        for (int vector = 0, count = 8 / width; vector < 8; vector += count) {
            b64v plane = {0};
            for (int i = 0; i < count; i++)
                plane |= shift_bytes(v[vector + i], shift - i * width, ((1 << width) - 1) << i * width);
            store64(target + 64 * (vector / count), plane);
        }
    }
}
