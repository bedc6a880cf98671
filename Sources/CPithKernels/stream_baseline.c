// The kernels of the learning network for what the compiler's target has: the reference of the other paths.
#pragma STDC FP_CONTRACT OFF
#if defined(__x86_64__) && !defined(__FMA__)
#define WITHOUT_FMA
#endif
#define STREAM_TABLE pith_stream_kernels_baseline
#define TILE_ROWS 3
#define BACK_ROWS 1
#include "private/stream_kernels.h"
