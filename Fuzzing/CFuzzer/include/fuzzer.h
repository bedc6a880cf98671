#ifndef PITH_FUZZER_H
#define PITH_FUZZER_H
#include <stddef.h>
#include <stdint.h>

typedef int (*pith_fuzz_input)(const uint8_t *bytes, size_t count);
/* Changes `count` bytes in place, at most to `limit`; 0 leaves it to the engine. */
typedef size_t (*pith_fuzz_change)(uint8_t *bytes, size_t count, size_t limit, unsigned seed);

/* Runs libFuzzer; -1 where it was not linked. */
int pith_fuzz_run(int argc, char **argv, pith_fuzz_input input, pith_fuzz_change change);
/* The engine's own change of bytes; `count` where there is no engine. */
size_t pith_fuzz_engine_change(uint8_t *bytes, size_t count, size_t limit);

/* Watches what is allocated from here on: one allocation beyond `single` bytes, or more than `total` held at once,
   ends the program. */
void pith_watch_begin(size_t single, size_t total);
/* Ends the watch; the largest allocation and the most held at once. */
void pith_watch_end(size_t *largest, size_t *most);

/* Says which input was read where a signal ends the program. */
void pith_report_crashes(void);
void pith_set_input_number(uint64_t number);
#endif
