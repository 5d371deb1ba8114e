/* SPDX-License-Identifier: Apache-2.0 */
/* The delivery protocol of docs/protocol.md: one catalog chunk with two lines. URL 0 always gives content 0; URL 1 is a random
 * source and gives content 0 or 1, anew at each fetch. Schedulers feed, admit, dispatch, repeat and sweep; workers read, check,
 * fetch, insert, link and ack.
 *
 * Each step is one request to a server (one script, one write of MongoDB). Between any two of them anything may happen:
 *   crash   the process is gone, its successor has another name; what it owned stays pending until somebody reclaims it
 *   pause   the process looks dead for a while (no heartbeat) and goes on all the same: the zombie
 *   flush   Redis is emptied, or (ROLLBACK) goes back to a copy of itself
 *   unknown a write of MongoDB was done or not, and nobody is told
 * With FAILURES, URL 0 may fail, and is tried again once. STARTED begins after admission. Budgets are finite. Time is not
 * modelled: whoever may wait, may wait for any time; a reclaim is possible as soon as the owner looks dead. `inflight` and the
 * entry of a job are changed in one script, so that here they are one variable.
 *
 * One Promela process takes the steps of all. After each, like processes and like entries stand in order (sort): which of two
 * workers does something makes no difference, so that one state stands for up to eight. That is what lets two workers, two
 * schedulers, two URLs and all faults together be visited whole. An atomic block is a choice who acts, one request, and that order.
 *
 * Safety: assertions at each write. Liveness, without any fairness: where nobody can move, all has ended (the last assertions);
 * and no run is endless (a cycle would pass through the label `accept`). tools/check-model looks for both, and takes rules away,
 * one at a time, by the switches below: each time one of them must fail. */

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
#define UNKNOWNS 0
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
byte image[2];      /* by content: the job that made it + 1; 0 none */
byte made_by[URLS]; /* by job: the content of its image + 1; 0 none */
bit linked[4];      /* url * 2 + content */

/* --- Redis --- */
byte job[URLS], job_owner[URLS] = NOBODY, job_run[URLS]; /* the entry of each job, its inflight mark with it */
byte chunk[2], chunk_owner[2] = NOBODY;                  /* announcements of the chunk */
#ifdef ROLLBACK
byte kept_job[URLS], kept_run[URLS], kept_chunk[2];
bit kept;
#endif

/* --- processes: workers 0 and 1, schedulers 2 and 3; what each is about to do, and what it knows --- */
#define IDLE 0
#define CHECK 1
#define CHECK_AGAIN 2 /* redelivered */
#define OWN 3         /* redelivered: was its image stored before? */
#define FETCH 4
#define INSERT 5
#define FINISH 6
#define ACK 7
#define ACK_EARLY 8
#define ANNOUNCE 9
#define ADMIT 10
#define ADMITTED 11 /* dispatch what is new */
#define MARK 12
#define MARK_EARLY 13
#define SEND 14 /* dispatch one job: a retry that is due, or what the sweeper found */

#define WORK 1
#define SCHEDULE 2
#define CRASH 3
#define PAUSE 4
#define LOSE 5
#define KEEP 6

byte at[4], url[4], run_of[4], more[4]; /* more: a worker's content; a scheduler's entry of the chunk */
bit failed[2], mine[4];                 /* mine: (scheduler - 2) * 2 + url */
bit unheard[4];                         /* looks dead */
byte crashes, pauses, flushes, unknowns;

#ifdef NO_HEARTBEAT
#define LOOKS_DEAD(owner) true
#else
#define LOOKS_DEAD(owner) (owner == NOBODY || unheard[owner & 3])
#endif

#ifdef NO_RECLAIM
#define JOB_FREE(u, p) (job[u] == NEW)
#define CHUNK_FREE(i, p) (chunk[i] == NEW)
#else
#define JOB_FREE(u, p) (job[u] == NEW || (job[u] == PENDING && job_owner[u] != p && LOOKS_DEAD(job_owner[u])))
#define CHUNK_FREE(i, p) (chunk[i] == NEW || (chunk[i] == PENDING && chunk_owner[i] != p && LOOKS_DEAD(chunk_owner[i])))
#endif

#ifdef NO_SWEEPER
#define LEFT_BEHIND(u) false
#else
#define LEFT_BEHIND(u) (state[u] == QUEUED && job[u] == GONE)
#endif

#ifdef NO_REANNOUNCE
#define UNANNOUNCED (!admitted && !announced && chunk[0] == GONE && chunk[1] == GONE)
#else
#define UNANNOUNCED (!admitted && chunk[0] == GONE && chunk[1] == GONE)
#endif

#define WORKER_CAN(p) (at[p] != IDLE || JOB_FREE(0, p) || JOB_FREE(1, p))
#define SCHEDULER_CAN(p) \
    (at[p] != IDLE || UNANNOUNCED || CHUNK_FREE(0, p) || CHUNK_FREE(1, p) || state[0] == WAITING || state[1] == WAITING || \
     LEFT_BEHIND(0) || LEFT_BEHIND(1))
#define NOBODY_CAN \
    (!WORKER_CAN(0) && (WORKERS < 2 || !WORKER_CAN(1)) && !SCHEDULER_CAN(2) && (SCHEDULERS < 2 || !SCHEDULER_CAN(3)))

/* --- requests --- */

/* One script: where the job is not inflight, XADD and HSET. */
inline dispatch(u, r) {
    if
#ifdef NO_INFLIGHT_CHECK
    :: true -> assert(job[u] == GONE); /* two entries of one job */
#else
    :: job[u] != GONE
    :: else ->
#endif
        job[u] = NEW; job_owner[u] = NOBODY; job_run[u] = r
    fi
}

/* XACK, XDEL, HDEL; nothing where the entry is another's. */
inline ack_job(u) {
    if
#ifdef NO_FENCE
    :: job[u] != GONE ->
#else
    :: job[u] == PENDING && job_owner[u] == me ->
#endif
        assert(!(state[u] == QUEUED && turn[u] == job_run[u])); /* never acked while the ledger waits for this very run */
        job[u] = GONE; job_owner[u] = NOBODY; job_run[u] = 0
    :: else
    fi
}

inline link(u, k) {
    assert(image[k] != 0); /* never done without its image */
    if
    :: state[u] != DONE -> state[u] = DONE; linked[u * 2 + k] = 1
    :: else -> if :: image[k] == u + 1 -> linked[u * 2 + k] = 1 :: else fi
    fi
}

/* waiting, or dead after enough tries; only of this very run */
inline write_failure(u, r) {
    if
#ifdef NO_RUN_MATCH
    :: state[u] == QUEUED ->
#else
    :: state[u] == QUEUED && turn[u] == r ->
#endif
        assert(r > charged[u]); /* one run is charged once */
        charged[u] = r;
        tries[u]++;
        if :: tries[u] == TRIES -> state[u] = DEAD :: else -> state[u] = WAITING fi
    :: else
    fi
}

inline insert_image(u, k) {
    if
#ifndef NO_CONTENT_INDEX
    :: image[k] != 0 /* these bytes are there: link them */
#endif
#ifndef NO_JOB_INDEX
    :: image[k] == 0 && made_by[u] != 0 -> k = made_by[u] - 1 /* an earlier delivery stored others: link those */
#endif
    :: else ->
        assert(image[k] == 0);   /* at most one image per content */
        assert(made_by[u] == 0); /* never stored twice for one job */
        image[k] = u + 1;
        made_by[u] = k + 1
    fi
}

/* --- workers --- */

inline forget(p) {
    at[p] = IDLE; url[p] = 0; run_of[p] = 0; more[p] = 0;
    if :: p < 2 -> failed[p] = 0 :: else -> mine[(p - 2) * 2] = 0; mine[(p - 2) * 2 + 1] = 0 fi
}

inline finish() {
    if :: failed[me] -> write_failure(url[me], run_of[me]) :: else -> link(url[me], more[me]) fi
}

inline worker_step() {
    if
    :: at[me] == IDLE -> /* read, or reclaim */
        if :: JOB_FREE(0, me) -> v = 0 :: JOB_FREE(1, me) -> v = 1 fi;
        url[me] = v; run_of[me] = job_run[v];
        if :: job[v] == PENDING -> at[me] = CHECK_AGAIN :: else -> at[me] = CHECK fi;
        job[v] = PENDING; job_owner[v] = me
#ifdef ACK_BEFORE_LEDGER
        ; more[me] = at[me]; at[me] = ACK_EARLY
    :: at[me] == ACK_EARLY -> ack_job(url[me]); at[me] = more[me]; more[me] = 0
#endif
    :: at[me] == CHECK || at[me] == CHECK_AGAIN -> /* only what is queued with this very run */
        if
        :: state[url[me]] != QUEUED || turn[url[me]] != run_of[me] -> at[me] = ACK
        :: else -> if :: at[me] == CHECK_AGAIN -> at[me] = OWN :: else -> at[me] = FETCH fi
        fi
    :: at[me] == OWN -> if :: made_by[url[me]] != 0 -> more[me] = made_by[url[me]] - 1; at[me] = FINISH :: else -> at[me] = FETCH fi
    :: at[me] == FETCH -> /* and look for an image with these bytes */
        if
        :: more[me] = 0
        :: url[me] == 1 -> more[me] = 1
#ifdef FAILURES
        :: url[me] == 0 -> failed[me] = 1
#endif
        fi;
        if :: failed[me] || image[more[me]] != 0 -> at[me] = FINISH :: else -> at[me] = INSERT fi
    :: at[me] == INSERT ->
        if
        :: insert_image(url[me], more[me]); at[me] = FINISH
        :: unknowns < UNKNOWNS -> unknowns++; /* done, or not, and nobody is told: it is sent again */
            v = more[me];
            if :: insert_image(url[me], v) :: true fi
#ifdef LINK_UNACKED
            ; at[me] = FINISH
#endif
        fi
    :: at[me] == FINISH ->
        if
        :: finish(); at[me] = ACK
        :: unknowns < UNKNOWNS -> unknowns++;
            if :: finish() :: true fi
#ifdef UNKNOWN_IS_DONE
            ; at[me] = ACK
#endif
        fi
    :: at[me] == ACK -> ack_job(url[me]); forget(me)
    fi;
    v = 0
}

/* --- schedulers --- */

#define MINE(u) mine[(me - 2) * 2 + (u)]

inline admit_one(u) {
    if :: state[u] == ABSENT -> state[u] = QUEUED; turn[u] = 1; MINE(u) = 1 :: else fi
}

inline admit_perhaps(u) {
    if :: state[u] == ABSENT -> state[u] = QUEUED; turn[u] = 1 :: true fi
}

inline scheduler_step() {
    if
    :: at[me] == IDLE ->
        if
        :: UNANNOUNCED -> at[me] = ANNOUNCE /* feeder: neither admitted nor in the stream */
#ifdef NO_REANNOUNCE
            ; announced = 1
#endif
        :: CHUNK_FREE(0, me) || CHUNK_FREE(1, me) -> /* admission */
            if :: CHUNK_FREE(0, me) -> v = 0 :: CHUNK_FREE(1, me) -> v = 1 fi;
            more[me] = v; chunk[v] = PENDING; chunk_owner[v] = me;
#ifdef CHUNK_EARLY
            if :: admitted -> at[me] = ACK :: else -> at[me] = MARK_EARLY fi
#else
            if :: admitted -> at[me] = ACK :: else -> at[me] = ADMIT fi
#endif
        :: state[0] == WAITING || state[1] == WAITING -> /* dispatcher: what waits and is due */
            if :: state[0] == WAITING -> v = 0 :: state[1] == WAITING -> v = 1 fi;
            state[v] = QUEUED; turn[v]++; url[me] = v; run_of[me] = turn[v]; at[me] = SEND
        :: LEFT_BEHIND(0) || LEFT_BEHIND(1) -> /* sweeper, at its second look; what happens before the dispatch stays possible */
            if :: LEFT_BEHIND(0) -> v = 0 :: LEFT_BEHIND(1) -> v = 1 fi;
            url[me] = v; run_of[me] = turn[v]; at[me] = SEND
        fi
    :: at[me] == ANNOUNCE ->
        if
        :: chunk[0] == GONE -> chunk[0] = NEW; chunk_owner[0] = NOBODY
        :: else -> if :: chunk[1] == GONE -> chunk[1] = NEW; chunk_owner[1] = NOBODY :: else fi
        fi;
        forget(me)
    :: at[me] == MARK_EARLY -> assert(state[0] != ABSENT && state[1] != ABSENT); admitted = 1; at[me] = ADMIT
    :: at[me] == ADMIT -> /* an unordered bulk: whole, or in any part where the outcome is unknown */
        if
        :: admit_one(0); admit_one(1);
            if :: MINE(0) || MINE(1) -> at[me] = ADMITTED :: else -> at[me] = MARK fi
        :: unknowns < UNKNOWNS -> unknowns++; admit_perhaps(0); admit_perhaps(1)
        fi
    :: at[me] == ADMITTED -> /* one script for all */
        if :: MINE(0) -> dispatch(0, 1) :: else fi;
        if :: MINE(1) -> dispatch(1, 1) :: else fi;
        MINE(0) = 0; MINE(1) = 0; at[me] = MARK
    :: at[me] == MARK ->
        assert(state[0] != ABSENT && state[1] != ABSENT); /* never marked before its lines are in */
        admitted = 1; at[me] = ACK
    :: at[me] == ACK ->
        if
        :: chunk[more[me]] == PENDING && chunk_owner[more[me]] == me ->
            assert(admitted);
            chunk[more[me]] = GONE; chunk_owner[more[me]] = NOBODY
        :: else
        fi;
        forget(me)
    :: at[me] == SEND -> dispatch(url[me], run_of[me]); forget(me)
    fi;
    v = 0
}

/* --- faults --- */

/* A crash; what it owned stays pending. */
inline crash() {
    crashes++;
    forget(me);
    unheard[me] = 0;
    if :: job[0] == PENDING && job_owner[0] == me -> job_owner[0] = NOBODY :: else fi;
    if :: job[1] == PENDING && job_owner[1] == me -> job_owner[1] = NOBODY :: else fi;
    if :: chunk[0] == PENDING && chunk_owner[0] == me -> chunk_owner[0] = NOBODY :: else fi;
    if :: chunk[1] == PENDING && chunk_owner[1] == me -> chunk_owner[1] = NOBODY :: else fi
}

inline lose_redis() {
#ifdef ROLLBACK
    /* an older Redis comes back: whoever owned an entry then, looks dead after a lease at the latest */
    job[0] = kept_job[0]; job[1] = kept_job[1]; job_run[0] = kept_run[0]; job_run[1] = kept_run[1];
    chunk[0] = kept_chunk[0]; chunk[1] = kept_chunk[1];
    kept_job[0] = 0; kept_job[1] = 0; kept_run[0] = 0; kept_run[1] = 0; kept_chunk[0] = 0; kept_chunk[1] = 0;
    kept = 0;
#else
    job[0] = GONE; job[1] = GONE; job_run[0] = 0; job_run[1] = 0; chunk[0] = GONE; chunk[1] = GONE;
#endif
    flushes++;
    job_owner[0] = NOBODY; job_owner[1] = NOBODY; chunk_owner[0] = NOBODY; chunk_owner[1] = NOBODY
}

#ifdef ROLLBACK
inline keep_redis() {
    kept = 1;
    kept_job[0] = job[0]; kept_job[1] = job[1]; kept_run[0] = job_run[0]; kept_run[1] = job_run[1];
    kept_chunk[0] = chunk[0]; kept_chunk[1] = chunk[1]
}
#endif

/* --- order among like processes --- */

#define KNOWS(p) ((((at[p] * 2 + url[p]) * 8 + run_of[p]) * 16 + more[p]) * 2 + unheard[p])
#define OWNS(p) ((job_owner[0] == p) * 8 + (job_owner[1] == p) * 4 + (chunk_owner[0] == p) * 2 + (chunk_owner[1] == p))
#define WORKER_RANK(p) ((KNOWS(p) * 2 + failed[p]) * 16 + OWNS(p))
#define SCHEDULER_RANK(p) ((KNOWS(p) * 4 + mine[(p - 2) * 2] * 2 + mine[(p - 2) * 2 + 1]) * 16 + OWNS(p))
#define SWAP(array, p, q) v = array[p]; array[p] = array[q]; array[q] = v
#define RENAME(owner, p, q) owner = (owner == p -> q : (owner == q -> p : owner))

inline put_in_order(p, q) {
    SWAP(at, p, q); SWAP(url, p, q); SWAP(run_of, p, q); SWAP(more, p, q); SWAP(unheard, p, q);
    RENAME(job_owner[0], p, q); RENAME(job_owner[1], p, q); RENAME(chunk_owner[0], p, q); RENAME(chunk_owner[1], p, q)
}

/* A scheduler that is at a chunk knows which entry it is. */
#define SWAP_CHUNKS(p) more[p] = (at[p] >= ADMIT && at[p] <= MARK_EARLY || at[p] == ACK -> 1 - more[p] : more[p])

inline sort() {
    if
    :: chunk[0] < chunk[1] || (chunk[0] == chunk[1] && chunk_owner[0] != NOBODY && chunk_owner[1] == NOBODY) ->
        SWAP(chunk, 0, 1); SWAP(chunk_owner, 0, 1); SWAP_CHUNKS(2); SWAP_CHUNKS(3)
    :: else
    fi;
#if WORKERS > 1
    if
    :: WORKER_RANK(0) > WORKER_RANK(1) -> put_in_order(0, 1); SWAP(failed, 0, 1)
    :: else
    fi;
#endif
#if SCHEDULERS > 1
    if
    :: SCHEDULER_RANK(2) > SCHEDULER_RANK(3) -> put_in_order(2, 3); SWAP(mine, 0, 2); SWAP(mine, 1, 3)
    :: else
    fi;
#endif
    act = 0; me = 0; v = 0
}

#define ENDED(u) (state[u] == DONE || state[u] == DEAD)
/* The job of a stored image is done and links it. A zombie that stores, then crashes, after another ended its job by other bytes,
 * leaves one that nobody links: the scrub adopts it. */
#define OWNED(k) (image[k] == 0 || linked[(image[k] - 1) * 2 + k] || (crashes > 0 && (pauses > 0 || flushes > 0)))

inline any_process() {
    if
    :: me = 0
#if WORKERS > 1
    :: me = 1
#endif
    :: me = 2
#if SCHEDULERS > 1
    :: me = 3
#endif
    fi
}

active proctype everything() {
    byte me, v, act;
#ifdef STARTED /* admission is over: of what it dispatched, anything may be left */
    d_step { admitted = 1; state[0] = QUEUED; state[1] = QUEUED; turn[0] = 1; turn[1] = 1 };
#endif
accept: /* between any two requests: a cycle through here would be a run without end */
    do
    :: atomic {
           if
           :: WORKER_CAN(0) -> me = 0; act = WORK
#if WORKERS > 1
           :: WORKER_CAN(1) -> me = 1; act = WORK
#endif
           :: SCHEDULER_CAN(2) -> me = 2; act = SCHEDULE
#if SCHEDULERS > 1
           :: SCHEDULER_CAN(3) -> me = 3; act = SCHEDULE
#endif
           :: crashes < CRASHES -> any_process(); act = CRASH
           :: pauses < PAUSES -> any_process(); act = PAUSE
#ifdef ROLLBACK
           :: flushes < FLUSHES && !kept -> act = KEEP
           :: kept -> act = LOSE
#else
           :: flushes < FLUSHES -> act = LOSE
#endif
           fi;
           if
           :: act == WORK -> worker_step()
           :: act == SCHEDULE -> scheduler_step()
           :: act == CRASH -> d_step { crash() }
           :: act == PAUSE -> d_step { pauses++; unheard[me] = 1 } /* that it is heard of again adds nothing: a reclaim is always a may */
           :: act == LOSE -> d_step { lose_redis() }
#ifdef ROLLBACK
           :: act == KEEP -> d_step { keep_redis() }
#endif
           fi;
           d_step { sort() }
       }
    :: atomic {
           NOBODY_CAN -> /* everything must have ended */
           assert(admitted);
           assert(ENDED(0) && ENDED(1));
           assert(OWNED(0) && OWNED(1));
           assert(job[0] == GONE && job[1] == GONE && chunk[0] == GONE && chunk[1] == GONE);
           break
       }
    od
}
