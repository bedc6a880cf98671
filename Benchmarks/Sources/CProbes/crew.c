#if defined(__linux__)
#define _GNU_SOURCE // affinity
#endif
#include "crew.h"

#include <pthread.h>
#if defined(__linux__)
#include <sched.h>
#endif
#include <stdatomic.h>
#include <stdlib.h>
#include <time.h>

typedef struct {
    crew_step step;
    void *context;
    double seconds;
    int32_t threads;
    atomic_int ready;
} crew;

typedef struct {
    crew *crew;
    int32_t thread;
    double rate;
} member;

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

// Keeps a thread on a core of its own, if there are enough: schedulers may let two share one for a whole sample.
static void settle(int32_t thread, int32_t threads)
{
#if defined(__linux__)
    cpu_set_t allowed, chosen;
    if (sched_getaffinity(0, sizeof allowed, &allowed) || CPU_COUNT(&allowed) < threads) return;
    int cpu = -1;
    for (int32_t passed = -1; passed < thread;) passed += CPU_ISSET(++cpu, &allowed) ? 1 : 0;
    CPU_ZERO(&chosen);
    CPU_SET(cpu, &chosen);
    sched_setaffinity(0, sizeof chosen, &chosen);
#else
    (void)thread, (void)threads;
#endif
}

static void *work(void *argument)
{
    member *member = argument;
    crew *crew = member->crew;
    settle(member->thread, crew->threads);
    atomic_fetch_add(&crew->ready, 1);
    while (atomic_load(&crew->ready) < crew->threads) {
    }
    double start = now(), elapsed, done = 0;
    do {
        done += crew->step(crew->context, member->thread);
        elapsed = now() - start;
    } while (elapsed < crew->seconds);
    member->rate = done / elapsed;
    return NULL;
}

double crew_run(crew_step step, void *context, int32_t threads, double seconds)
{
    crew crew = {.step = step, .context = context, .seconds = seconds, .threads = threads};
    pthread_t *handles = calloc((size_t)threads, sizeof *handles);
    member *members = calloc((size_t)threads, sizeof *members);
    double rate = 0;
    if (handles && members) {
        int32_t started = 0;
        for (int32_t i = 0; i < threads; i++) members[i] = (member){.crew = &crew, .thread = i};
        for (; started < threads; started++)
            if (pthread_create(&handles[started], NULL, work, &members[started])) break;
        // Threads that could not be started count as ready, so that the others do not wait for them.
        atomic_fetch_add(&crew.ready, threads - started);
        for (int32_t i = 0; i < started; i++) pthread_join(handles[i], NULL);
        for (int32_t i = 0; i < started; i++) rate += members[i].rate;
    }
    free(handles);
    free(members);
    return rate;
}
