// The kernels for NEON with dot products of bytes.
#if defined(__aarch64__)
#include <arm_neon.h>
#pragma STDC FP_CONTRACT OFF
#pragma clang attribute push(__attribute__((target("dotprod"))), apply_to = function)
#define USE_NEON_DOT 1
#define KERNEL_TABLE pith_kernels_neon_dot
#include "private/kernels.h"
#pragma clang attribute pop
#endif
