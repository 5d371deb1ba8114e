/* SPDX-License-Identifier: Apache-2.0 */
/* The delivery protocol of docs/protocol.md: one catalog chunk with two lines. URL 0 always gives content 0; URL 1 is a random
 * source and gives content 0 or 1, anew at each fetch. Schedulers feed, admit, dispatch, repeat and sweep; workers read, check,
 * fetch, insert, link and ack.
 *
 * Each atomic block is one request to a server (one script, one write of MongoDB). Between any two of them anything may happen:
 *   crash   the process is gone, its successor has another name; what it owned stays pending until somebody reclaims it
 *   pause   the process looks dead for a while (no heartbeat) and goes on all the same: the zombie
 *   flush   Redis is emptied, or (ROLLBACK) goes back to a copy of itself
 *   unknown a write of MongoDB was done or not, and nobody is told
 * With FAILURES, URL 0 may fail, and is tried again once. STARTED begins after admission. Budgets are finite. Time is not modelled: whoever may wait, may wait for any time; a reclaim is possible as soon as the owner
 * looks dead. `inflight` and the entry of a job are changed in one script, so that here they are one variable.
 *
 * Safety: assertions at each write. Liveness: the process `oracle` runs when nothing else can, and asserts that all has ended;
 * tools/check-model also looks for cycles (there is none: every run ends). Switches that take one rule away must fail. */

#ifndef WORKERS
#define WORKERS 2
#endif
#ifndef SCHEDULERS
#define SCHEDULERS 2
#endif
#ifndef CRASHES
#define CRASHES 1
#endif
#ifndef PAUSES
#define PAUSES 1
#endif
#ifndef FLUSHES
#define FLUSHES 1
#endif
#ifndef UNKNOWNS
#define UNKNOWNS 1
#endif

#define URLS 2
#define TRIES 2 /* failures until a URL is dead */
#define NOBODY 7

/* states of a URL */
#define ABSENT 0
#define QUEUED 1
#define WAITING 2
#define DONE 3
#define DEAD 4

/* states of a stream entry */
#define GONE 0
#define NEW 1
#define PENDING 2

/* --- MongoDB --- */
byte state[URLS], turn[URLS], tries[URLS], charged[URLS]; /* turn: the run that is wanted; charged: the last run
                                                            whose failure was counted */
bit admitted;
#ifdef NO_REANNOUNCE
bit announced;
#endif
byte image[2];     /* by content: the job that made it + 1; 0 none */
byte made_by[URLS]; /* by job: the content of its image + 1; 0 none */
bit linked[4];     /* url * 2 + content */

/* --- Redis --- */
byte job[URLS], job_owner[URLS], job_run[URLS]; /* the entry of each job, its inflight mark with it */
byte chunk[2], chunk_owner[2];                  /* announcements of the chunk */
#ifdef ROLLBACK
byte kept_job[URLS], kept_run[URLS], kept_chunk[2];
#endif

/* --- processes: workers 0 and 1, schedulers 2 and 3 --- */
bit unheard[4]; /* looks dead */
chan kill[4] = [0] of { bit };
byte crashes, pauses, flushes, unknowns;

#define LOOKS_DEAD(owner) (owner == NOBODY || unheard[owner])

#ifdef NO_RECLAIM
#define JOB_FREE(u) (job[u] == NEW)
#define CHUNK_FREE(i) (chunk[i] == NEW)
#else
#define JOB_FREE(u) (job[u] == NEW || (job[u] == PENDING && job_owner[u] != me && LOOKS_DEAD(job_owner[u])))
#define CHUNK_FREE(i) (chunk[i] == NEW || (chunk[i] == PENDING && chunk_owner[i] != me && LOOKS_DEAD(chunk_owner[i])))
#endif

/* One script: where the job is not inflight, XADD and HSET. */
inline dispatch(v, r) {
    if
#ifdef NO_INFLIGHT_CHECK
    :: true -> assert(job[v] == GONE); /* two entries of one job */
#else
    :: job[v] != GONE
    :: else ->
#endif
        job[v] = NEW; job_owner[v] = NOBODY; job_run[v] = r
    fi
}

/* XACK, XDEL, HDEL; nothing where the entry is another's. */
inline ack_job(v) {
    if
#ifdef NO_FENCE
    :: job[v] != GONE ->
#else
    :: job[v] == PENDING && job_owner[v] == me ->
#endif
        assert(!(state[v] == QUEUED && turn[v] == job_run[v])); /* never acked while the ledger waits for this very run */
        job[v] = GONE; job_owner[v] = 0; job_run[v] = 0
    :: else
    fi
}

inline link(v, k) {
    assert(image[k] != 0); /* never done without its image */
    if
    :: state[v] != DONE -> state[v] = DONE; linked[v * 2 + k] = 1
    :: else -> if :: image[k] == v + 1 -> linked[v * 2 + k] = 1 :: else fi
    fi
}

/* waiting, or dead after enough tries; only of this very run */
inline write_failure(v, r) {
    if
#ifdef NO_RUN_MATCH
    :: state[v] == QUEUED ->
#else
    :: state[v] == QUEUED && turn[v] == r ->
#endif
        assert(r > charged[v]); /* one run is charged once */
        charged[v] = r;
        tries[v]++;
        if :: tries[v] == TRIES -> state[v] = DEAD :: else -> state[v] = WAITING fi
    :: else
    fi
}

inline insert_image(v, k) {
    if
#ifndef NO_CONTENT_INDEX
    :: image[k] != 0 /* these bytes are there: link them */
#endif
#ifndef NO_JOB_INDEX
    :: image[k] == 0 && made_by[v] != 0 -> k = made_by[v] - 1 /* an earlier delivery stored others: link those */
#endif
    :: else ->
        assert(image[k] == 0);   /* at most one image per content */
        assert(made_by[v] == 0); /* never stored twice for one job */
        image[k] = v + 1;
        made_by[v] = k + 1
    fi
}

#define FORGET_JOB u = 0; r = 0; c = 0; again = 0; failed = 0

proctype worker(byte me) {
    byte u, r, c;
    bit again, failed;
top:
    {
        do
        :: atomic { /* read, or reclaim */
               if
               :: JOB_FREE(0) -> u = 0
               :: JOB_FREE(1) -> u = 1
               fi;
               again = (job[u] == PENDING);
               job[u] = PENDING; job_owner[u] = me;
               r = job_run[u]
           }
#ifdef ACK_BEFORE_LEDGER
           atomic { ack_job(u) }
#endif
           atomic { /* check: only what is queued with this very run */
               if
               :: state[u] != QUEUED || turn[u] != r -> goto ack
               :: else -> if :: again -> again = 0 :: else -> goto fetch fi
               fi
           }
           atomic { if :: made_by[u] != 0 -> c = made_by[u] - 1; goto finish :: else fi } /* own: redelivered, and stored before */
fetch:
           atomic { /* fetch, and look for an image with these bytes */
               if
               :: c = 0
               :: u == 1 -> c = 1
#ifdef FAILURES
               :: u == 0 -> failed = 1; goto finish
#endif
               fi;
               if :: image[c] != 0 -> goto finish :: else fi
           }
insert:
           atomic {
               if
               :: true -> insert_image(u, c)
               :: unknowns < UNKNOWNS -> unknowns++; /* done, or not, and nobody is told: it is sent again */
                   if :: true -> insert_image(u, c) :: true fi;
#ifndef LINK_UNACKED
                   goto insert
#endif
               fi
           }
finish:
           atomic {
               if
               :: true -> if :: failed -> write_failure(u, r) :: else -> link(u, c) fi
               :: unknowns < UNKNOWNS -> unknowns++;
                   if
                   :: true -> if :: failed -> write_failure(u, r) :: else -> link(u, c) fi
                   :: true
                   fi;
#ifndef UNKNOWN_IS_DONE
                   goto finish
#endif
               fi
           }
ack:
           atomic { ack_job(u); FORGET_JOB }
        od
    } unless { atomic { kill[me]?_ -> FORGET_JOB; goto top } }
}

#define FORGET_ALL u = 0; r = 0; i = 0; mine[0] = 0; mine[1] = 0

proctype scheduler(byte me) {
    byte u, r, i;
    bit mine[URLS];
top:
    {
        do
#ifndef STARTED
        /* feeder: announces the chunk while it is neither admitted nor in the stream */
#ifdef NO_REANNOUNCE
        :: atomic { !admitted && !announced && chunk[0] == GONE && chunk[1] == GONE; announced = 1 }
#else
        :: atomic { !admitted && chunk[0] == GONE && chunk[1] == GONE }
#endif
           atomic {
               if
               :: chunk[0] == GONE -> chunk[0] = NEW; chunk_owner[0] = NOBODY
               :: else -> if :: chunk[1] == GONE -> chunk[1] = NEW; chunk_owner[1] = NOBODY :: else fi
               fi
           }
        /* admission */
        :: atomic {
               if
               :: CHUNK_FREE(0) -> i = 0
               :: CHUNK_FREE(1) -> i = 1
               fi;
               chunk[i] = PENDING; chunk_owner[i] = me;
               if :: admitted -> goto ack :: else fi
           }
#ifdef CHUNK_EARLY
           atomic { assert(state[0] != ABSENT && state[1] != ABSENT); admitted = 1 }
#endif
admit:
           atomic { /* an unordered bulk: whole, or in any part where the outcome is unknown */
               if
               :: true -> u = 0;
                   do
                   :: u < URLS -> if :: state[u] == ABSENT -> state[u] = QUEUED; turn[u] = 1; mine[u] = 1 :: else fi; u++
                   :: else -> break
                   od
               :: unknowns < UNKNOWNS -> unknowns++;
                   if :: state[0] == ABSENT -> state[0] = QUEUED; turn[0] = 1 :: true fi;
                   if :: state[1] == ABSENT -> state[1] = QUEUED; turn[1] = 1 :: true fi;
                   goto admit
               fi;
               u = 0;
               if :: !mine[0] && !mine[1] -> goto mark :: else fi
           }
           atomic { /* one script for all */
               if :: mine[0] -> dispatch(0, 1) :: else fi;
               if :: mine[1] -> dispatch(1, 1) :: else fi;
               mine[0] = 0; mine[1] = 0
           }
mark:
           atomic {
               assert(state[0] != ABSENT && state[1] != ABSENT); /* never marked before its lines are in */
               admitted = 1
           }
ack:
           atomic {
               if
               :: chunk[i] == PENDING && chunk_owner[i] == me ->
                   assert(admitted);
                   chunk[i] = GONE; chunk_owner[i] = 0
               :: else
               fi;
               i = 0
           }
#endif
        /* dispatcher: what waits and is due */
        :: atomic {
               if
               :: state[0] == WAITING -> u = 0
               :: state[1] == WAITING -> u = 1
               fi;
               state[u] = QUEUED; turn[u]++; r = turn[u]
           }
           atomic { dispatch(u, r); u = 0; r = 0 }
#ifndef NO_SWEEPER
        /* sweeper: queued and not inflight, as the second look says; what happens between that and the dispatch stays possible */
        :: atomic {
               if
               :: state[0] == QUEUED && job[0] == GONE -> u = 0
               :: state[1] == QUEUED && job[1] == GONE -> u = 1
               fi;
               r = turn[u]
           }
           atomic { dispatch(u, r); u = 0; r = 0 }
#endif
        od
    } unless { atomic { kill[me]?_ -> FORGET_ALL; goto top } }
}

/* --- faults --- */

inline any_process(p) {
    if
    :: p = 0
#if WORKERS > 1
    :: p = 1
#endif
    :: p = 2
#if SCHEDULERS > 1
    :: p = 3
#endif
    fi
}

inline lose_redis() {
#ifdef ROLLBACK
    /* an older Redis comes back: whoever owned an entry then, looks dead after a lease at the latest */
    job[0] = kept_job[0]; job[1] = kept_job[1]; job_run[0] = kept_run[0]; job_run[1] = kept_run[1];
    job_owner[0] = NOBODY; job_owner[1] = NOBODY;
    chunk[0] = kept_chunk[0]; chunk[1] = kept_chunk[1]; chunk_owner[0] = NOBODY; chunk_owner[1] = NOBODY;
    kept_job[0] = 0; kept_job[1] = 0; kept_run[0] = 0; kept_run[1] = 0; kept_chunk[0] = 0; kept_chunk[1] = 0
#else
    job[0] = GONE; job[1] = GONE; job_owner[0] = 0; job_owner[1] = 0; job_run[0] = 0; job_run[1] = 0;
    chunk[0] = GONE; chunk[1] = GONE; chunk_owner[0] = 0; chunk_owner[1] = 0
#endif
}

proctype faults() {
    byte p;
#ifdef ROLLBACK
    bit kept;
#endif
    do
    :: atomic { /* a crash; what it owned stays pending */
           crashes < CRASHES; crashes++;
           any_process(p);
           kill[p]!0;
           unheard[p] = 0;
           if :: job[0] == PENDING && job_owner[0] == p -> job_owner[0] = NOBODY :: else fi;
           if :: job[1] == PENDING && job_owner[1] == p -> job_owner[1] = NOBODY :: else fi;
           if :: chunk[0] == PENDING && chunk_owner[0] == p -> chunk_owner[0] = NOBODY :: else fi;
           if :: chunk[1] == PENDING && chunk_owner[1] == p -> chunk_owner[1] = NOBODY :: else fi;
           p = 0
       }
    /* a pause: it looks dead from now on. That it is heard of again later adds nothing: a reclaim is always a may. */
    :: atomic { pauses < PAUSES; pauses++; any_process(p); unheard[p] = 1; p = 0 }
#ifdef ROLLBACK
    :: atomic {
           flushes < FLUSHES && !kept; kept = 1;
           kept_job[0] = job[0]; kept_job[1] = job[1]; kept_run[0] = job_run[0]; kept_run[1] = job_run[1];
           kept_chunk[0] = chunk[0]; kept_chunk[1] = chunk[1]
       }
    :: atomic { kept; kept = 0; flushes++; lose_redis() }
#else
    :: atomic { flushes < FLUSHES; flushes++; lose_redis() }
#endif
    :: break
    od
}

#define ENDED(u) (state[u] == DONE || state[u] == DEAD)
/* The job of a stored image is done and links it. A zombie that stores, then crashes, after another ended its job by other bytes,
 * leaves one that nobody links: the scrub adopts it. */
#define OWNED(k) (image[k] == 0 || linked[(image[k] - 1) * 2 + k] || (crashes > 0 && (pauses > 0 || flushes > 0)))

/* Nothing can move any more: everything must have ended. */
proctype oracle() {
    timeout;
    assert(admitted);
    assert(ENDED(0) && ENDED(1));
    assert(OWNED(0) && OWNED(1));
    assert(job[0] == GONE && job[1] == GONE && chunk[0] == GONE && chunk[1] == GONE)
}

init {
    atomic {
#ifdef STARTED /* admission is over: of what it dispatched, anything may be left */
        admitted = 1; state[0] = QUEUED; state[1] = QUEUED; turn[0] = 1; turn[1] = 1;
#endif
        run worker(0);
#if WORKERS > 1
        run worker(1);
#endif
        run scheduler(2);
#if SCHEDULERS > 1
        run scheduler(3);
#endif
        run faults();
        run oracle()
    }
}
