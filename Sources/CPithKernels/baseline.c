// The kernels for what the compiler's target has: the reference of all other paths.
#pragma STDC FP_CONTRACT OFF
#if defined(__x86_64__) && !defined(__FMA__)
#define WITHOUT_FMA
#endif
#define KERNEL_TABLE pith_kernels_baseline
#include "private/kernels.h"
#define TRAINING_TABLE pith_training_kernels_baseline
#include "private/training_kernels.h"
