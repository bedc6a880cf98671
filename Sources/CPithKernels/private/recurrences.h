// Recurrences: rows of one sequence, one after the other. A channel or head is computed alike whoever its neighbours
// are, so threads may share them.

static void selective_scan(const pith_selective_scan *s, int64_t first, int64_t count) {
    int64_t size = s->size, width = s->width;
    for (int64_t channel = first; channel < first + count; channel++) {
        float rates[PITH_SCAN_LIMIT];
        float *state = s->states + channel * size;
        for (int64_t i = 0; i < size; i += 16)
            store_up_to_16(rates + i, -exp16(load_up_to_16(s->rates + channel * size + i, size - i)), size - i);
        for (int64_t row = 0; row < s->rows; row++) {
            const float *writes = s->writes + row * size, *reads = s->reads + row * size;
            float x = s->inputs[row * width + channel], step = s->steps[row * width + channel];
            f16v steps = splat(step), written = splat(step * x), sum = {0};
            for (int64_t i = 0; i < size; i += 16) {
                int64_t part = size - i;
                f16v decay = exp16(steps * load_up_to_16(rates + i, part));
                f16v h = FMA(decay, load_up_to_16(state + i, part), written * load_up_to_16(writes + i, part));
                store_up_to_16(state + i, h, part);
                sum = FMA(h, load_up_to_16(reads + i, part), sum);
            }
            s->outputs[row * width + channel] = sum_lanes(sum) + s->skips[channel] * x;
        }
    }
}

static void matrix_recurrence(const pith_matrix_recurrence *m, int64_t first, int64_t count) {
    int64_t size = m->size, width = m->heads * size;
    for (int64_t head = first; head < first + count; head++) {
        // Columns of S do not meet.
        for (int64_t column = 0; column < size; column += 16) {
            int64_t part = size - column;
            float *state = m->states + head * size * size + column;
            for (int64_t row = 0; row < m->rows; row++) {
                int64_t at = row * width + head * size;
                const float *r = m->receptances + at, *w = m->decays + at, *k = m->keys + at;
                f16v v = load_up_to_16(m->values + at + column, part), y = {0};
                if (m->a) {
                    const float *a = m->a + at, *b = m->b + at;
                    f16v found = {0};
                    for (int64_t j = 0; j < size; j++)
                        found = FMA(splat(a[j]), load_up_to_16(state + j * size, part), found);
                    for (int64_t j = 0; j < size; j++) {
                        f16v s = FMA(splat(w[j]), load_up_to_16(state + j * size, part), splat(k[j]) * v);
                        s = FMA(splat(b[j]), found, s);
                        y = FMA(splat(r[j]), s, y);
                        store_up_to_16(state + j * size, s, part);
                    }
                } else {
                    for (int64_t j = 0; j < size; j++) {
                        f16v s = load_up_to_16(state + j * size, part);
                        y = FMA(splat(r[j]), s, y);
                        store_up_to_16(state + j * size, FMA(splat(w[j]), s, splat(k[j]) * v), part);
                    }
                }
                store_up_to_16(m->outputs + at + column, y, part);
            }
        }
    }
}

static void exponential_average(const pith_exponential_average *m, int64_t first, int64_t count) {
    int64_t width = m->width;
    for (int64_t c = first; c < first + count; c += 16) {
        int64_t part = first + count - c;
        f16v decay = exp16(load_up_to_16(m->decays + c, part)), bonus = load_up_to_16(m->bonuses + c, part);
        float *state = m->states + c;
        f16v sum = load_up_to_16(state, part), weight = load_up_to_16(state + width, part);
        f16v largest = load_up_to_16(state + 2 * width, part);
        // Before the first row there is no largest.
        i16v none = weight == 0;
        largest = (f16v)(((i16v)splat(-1e30f) & none) | ((i16v)largest & ~none));
        for (int64_t row = 0; row < m->rows; row++) {
            f16v key = load_up_to_16(m->keys + row * width + c, part);
            f16v value = load_up_to_16(m->values + row * width + c, part);
            f16v own = key + bonus, most = __builtin_elementwise_max(largest, own);
            f16v before = exp16(largest - most), now = exp16(own - most);
            f16v y = FMA(before, sum, now * value) / FMA(before, weight, now);
            store_up_to_16(m->outputs + row * width + c, y, part);
            most = __builtin_elementwise_max(largest - decay, key);
            before = exp16(largest - decay - most), now = exp16(key - most);
            sum = FMA(before, sum, now * value);
            weight = FMA(before, weight, now);
            largest = most;
        }
        store_up_to_16(state, sum, part);
        store_up_to_16(state + width, weight, part);
        store_up_to_16(state + 2 * width, largest, part);
    }
}
