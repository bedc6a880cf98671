// Threads that repeat a step for some time.
#ifndef CREW_H
#define CREW_H

#include <stdint.h>

/// Does a step of work and says how much it was. Steps should take microseconds to a millisecond.
typedef double (*crew_step)(void *context, int32_t thread);

/// Runs the step on `threads` threads at once for `seconds`; the amount of work per second of all together.
double crew_run(crew_step step, void *context, int32_t threads, double seconds);

#endif
