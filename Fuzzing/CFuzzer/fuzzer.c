#include "fuzzer.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#if defined(__GLIBC__)
#include <malloc.h>
#endif

#ifndef __has_feature
#define __has_feature(x) 0
#endif

/* The engine. */

int LLVMFuzzerRunDriver(int *, char ***, pith_fuzz_input) __attribute__((weak));
size_t LLVMFuzzerMutate(uint8_t *, size_t, size_t) __attribute__((weak));

static pith_fuzz_change change_input;

size_t LLVMFuzzerCustomMutator(uint8_t *bytes, size_t count, size_t limit, unsigned seed) {
    size_t changed = change_input ? change_input(bytes, count, limit, seed) : 0;
    return changed ? changed : pith_fuzz_engine_change(bytes, count, limit);
}

size_t pith_fuzz_engine_change(uint8_t *bytes, size_t count, size_t limit) {
    return LLVMFuzzerMutate ? LLVMFuzzerMutate(bytes, count, limit) : count;
}

int pith_fuzz_run(int argc, char **argv, pith_fuzz_input input, pith_fuzz_change change) {
    if (!LLVMFuzzerRunDriver) return -1;
    change_input = change;
    return LLVMFuzzerRunDriver(&argc, &argv, input);
}

/* What is allocated. */

static atomic_bool is_watching;
static atomic_llong held, most_held;
static atomic_size_t largest_seen;
static size_t single_limit, total_limit;

static void stop(const char *what, size_t count, size_t limit) {
    atomic_store(&is_watching, false);
    char line[160];
    int length = snprintf(
        line, sizeof line, "\nfinding: %s of %zu bytes, beyond the limit of %zu\n", what, count, limit);
    if (write(2, line, (size_t)length) < 0) _exit(1);
    abort();
}

static void note_allocation(const volatile void *pointer, size_t count) {
    (void)pointer;
    if (!atomic_load_explicit(&is_watching, memory_order_relaxed)) return;
    size_t largest = atomic_load(&largest_seen);
    while (count > largest && !atomic_compare_exchange_weak(&largest_seen, &largest, count)) {}
    long long now = atomic_fetch_add(&held, (long long)count) + (long long)count, most = atomic_load(&most_held);
    while (now > most && !atomic_compare_exchange_weak(&most_held, &most, now)) {}
    if (count > single_limit) stop("an allocation", count, single_limit);
    if (now > (long long)total_limit) stop("allocations", (size_t)now, total_limit);
}

static void note_release(size_t count) {
    if (atomic_load_explicit(&is_watching, memory_order_relaxed)) atomic_fetch_sub(&held, (long long)count);
}

#if __has_feature(address_sanitizer)

int __sanitizer_install_malloc_and_free_hooks(
    void (*)(const volatile void *, size_t), void (*)(const volatile void *));
size_t __sanitizer_get_allocated_size(const volatile void *);

static void release_hook(const volatile void *pointer) {
    if (pointer && atomic_load_explicit(&is_watching, memory_order_relaxed))
        note_release(__sanitizer_get_allocated_size(pointer));
}

static void install(void) { __sanitizer_install_malloc_and_free_hooks(note_allocation, release_hook); }

#elif defined(__GLIBC__)

void *__libc_malloc(size_t);
void *__libc_calloc(size_t, size_t);
void *__libc_realloc(void *, size_t);
void *__libc_memalign(size_t, size_t);
void __libc_free(void *);

void *malloc(size_t count) {
    note_allocation(NULL, count);
    return __libc_malloc(count);
}

void *calloc(size_t count, size_t size) {
    size_t all;
    note_allocation(NULL, __builtin_mul_overflow(count, size, &all) ? SIZE_MAX / 2 : all);
    return __libc_calloc(count, size);
}

void *realloc(void *old, size_t count) {
    if (old) note_release(malloc_usable_size(old));
    note_allocation(NULL, count);
    return __libc_realloc(old, count);
}

void *memalign(size_t alignment, size_t count) {
    note_allocation(NULL, count);
    return __libc_memalign(alignment, count);
}

void *aligned_alloc(size_t alignment, size_t count) { return memalign(alignment, count); }

int posix_memalign(void **result, size_t alignment, size_t count) {
    void *found = memalign(alignment, count);
    if (!found) return 12;
    *result = found;
    return 0;
}

void free(void *old) {
    if (old) note_release(malloc_usable_size(old));
    __libc_free(old);
}

static void install(void) {}

#else
static void install(void) {}
#endif

void pith_watch_begin(size_t single, size_t total) {
    static atomic_flag is_installed = ATOMIC_FLAG_INIT;
    if (!atomic_flag_test_and_set(&is_installed)) install();
    single_limit = single;
    total_limit = total;
    atomic_store(&held, 0);
    atomic_store(&most_held, 0);
    atomic_store(&largest_seen, 0);
    atomic_store(&is_watching, true);
}

void pith_watch_end(size_t *largest, size_t *most) {
    atomic_store(&is_watching, false);
    *largest = atomic_load(&largest_seen);
    *most = (size_t)atomic_load(&most_held);
}

/* Crashes outside of the engine. */

static atomic_ullong input_number;

static void report(int signal_number) {
    char line[96];
    int length = snprintf(
        line, sizeof line, "\nfinding: signal %d at mutation %llu\n", signal_number, atomic_load(&input_number));
    if (write(2, line, (size_t)length) < 0) _exit(1);
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

void pith_report_crashes(void) {
    int numbers[] = {SIGILL, SIGTRAP, SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGALRM};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) signal(numbers[i], report);
}

void pith_set_input_number(uint64_t number) { atomic_store(&input_number, number); }
