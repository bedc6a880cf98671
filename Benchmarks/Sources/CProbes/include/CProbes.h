// What a machine can do at most: bytes read and multiply-adds done in a second, by the widest instructions it has.
// Figures are measured, not looked up.
#ifndef CPROBES_H
#define CPROBES_H

#include <stdint.h>

/// Number types that dot products run in.
typedef enum {
    PROBE_F32 = 0,  ///< floats, fused multiply-adds
    PROBE_BF16 = 1, ///< pairs of bfloat16 into floats
    PROBE_INT8 = 2, ///< bytes into 32-bit integers
} probe_arithmetic;

/// Bytes read per second when `threads` threads read their parts of `buffer` over and over for `seconds`.
double probe_read(const void *buffer, int64_t bytes, int32_t threads, double seconds);

/// Multiply-adds per second of `threads` threads that do nothing else for `seconds`, by the instructions that
/// `probe_instructions` names; 0 where there are none.
double probe_multiply_add(probe_arithmetic arithmetic, int32_t threads, double seconds);

/// The widest instructions of this machine for an arithmetic, for example "AVX512-VNNI"; NULL where it has none.
const char *probe_instructions(probe_arithmetic arithmetic);

#endif
