// The kernels for what the compiler's target has: the reference of all other paths.
#pragma STDC FP_CONTRACT OFF
#define KERNEL_TABLE pith_kernels_baseline
#include "private/kernels.h"
#define TRAINING_TABLE pith_training_kernels_baseline
#include "private/training_kernels.h"
