/*
 * What successive answers of `status` say about the minutes between them.
 *
 * Counters begin at 0 when nginx starts.  Where one has become smaller there
 * is no rate, rather than a negative one: the sample has null, and the chart
 * a gap.
 */

import { own } from './server.js';

export const SPAN = 600000;             // ms that are kept

const STEP = 30000;                     // between snapshots of the reasons
const MARKS = 20;
const KEY = 'chat-console-samples-3';

const NOTHING = [null, null, null];     // of the commits

const sum = (values) => values.reduce((all, value) => all + value, 0);
const most = (values) => (values.length ? Math.max(...values) : null);
const workers = (status, name) => status.per_worker.map((w) => w[name]);


function name(pids, one, many) {
    return pids.length > 1 ? `Workers ${pids.join(', ')} ${many}`
                           : pids.length && `Worker ${pids[0]} ${one}`;
}


/* What is now, of one answer. */

const gauges = {
    connections: (s) => s.connections,
    websocket: (s) => s.connections - s.connections_fallback
                      - s.connections_events,
    fallback: (s) => s.connections_fallback,
    streams: (s) => s.connections_events,
    zone: (s) => s.zone_used_bytes,
    turn: (s) => most(workers(s, 'stall_recent_max_microseconds')),
    delay: (s) => most(workers(s, 'wakeup_delay_recent_max_microseconds')),
    lag: (s) => most(workers(s, 'bus_lag_bytes')),
    waiting: (s) => s.store?.queued ?? null,
};

/* What has become more, a second. */

const rates = {
    events: (s) => s.events_total,
    clientEvents: (s) => s.client_events_total,
    deliveries: (s) => s.deliveries_total,
    arrivals: (s) => s.connections_total,
    stored: (s) => (s.store ? s.messages_stored : null),
    unavailable: (s) => s.unavailable_answers,
    received: (s) => s.received_bytes_total,
    sent: (s) => s.sent_bytes_total,
};

export const NAMES = [...Object.keys(gauges), ...Object.keys(rates),
                      'commit', 'commitSlow', 'commitOver'];


function rateOf(read, before, now, seconds) {
    const [from, to] = [read(before), read(now)];

    return from === null || to === null || to < from || seconds <= 0
           ? null : (to - from) / seconds;
}


/*
 * Of the commits between two answers: the mean, and the time within which 99
 * of 100 have ended, as exact as the buckets are: the last one has no bound, so
 * that some took more than the one before, and how much more is not known.
 */

function commitTimes(before, now) {
    const commits = now.store.commits - before.store.commits;
    const time = now.store.commits_microseconds
                 - before.store.commits_microseconds;
    const more = now.store.commit_times.map(({ commits: n }, i) => (
        n - (before.store.commit_times[i]?.commits ?? 0)));

    if (commits <= 0 || time < 0 || more.some((n) => n < 0)) {
        return NOTHING;
    }

    const i = more.findIndex((n) => n >= 0.99 * commits);
    const bounds = now.store.commit_times.map((b) => b.microseconds);
    const last = bounds.findLast((bound) => bound !== null);

    return [time / commits, bounds[i] ?? last,
            (bounds[i] ?? null) === null ? 1 : 0];
}


function sample(before, now, seconds) {
    const made = {};

    for (const [name, read] of Object.entries(gauges)) {
        made[name] = read(now);
    }

    for (const [name, read] of Object.entries(rates)) {
        made[name] = before ? rateOf(read, before, now, seconds) : null;
    }

    [made.commit, made.commitSlow, made.commitOver] =
        before?.store && now.store ? commitTimes(before, now) : NOTHING;

    return made;
}


/* The counters that the overview also shows for the last minutes. */

function reasons(status) {
    const numbers = {};

    for (const [name, value] of Object.entries(status)) {
        if (/_by_(code|reason|result)$/.test(name)) {
            for (const [reason, n] of Object.entries(value)) {
                numbers[`${name} ${reason}`] = n;
            }

        } else if (/_(refused|invalid|answers|early|forgotten)$/.test(name)) {
            numbers[name] = value;
        }
    }

    return numbers;
}


export class Samples {
    times = [];
    values = Object.fromEntries(NAMES.map((name) => [name, []]));
    marks = [];                         // what happened: { time, text }
    snapshots = [];                     // of the reasons: { time, numbers }
    last = null;                        // the answer before

    add(status, time) {
        const { last } = this;
        const before = last && !this.restarted(last.status, status)
                       ? last.status : null;

        if (last) {
            this.compare(last.status, status, time);
        }

        this.push(time, sample(before, status,
                               last ? (time - last.time) / 1000 : 0));
        this.snapshot(status, time);
        this.last = { status, time };
    }

    /* Nothing is known of this moment. */

    gap(time) {
        this.push(time, {});
    }

    push(time, made) {
        this.times.push(time);

        for (const name of NAMES) {
            this.values[name].push(made[name] ?? null);
        }

        const old = this.times.findIndex((t) => t >= time - SPAN);

        if (old > 0) {
            this.times.splice(0, old);
            NAMES.forEach((name) => this.values[name].splice(0, old));
        }

        this.marks = this.marks.filter((m) => m.time >= time - SPAN)
                               .slice(-MARKS);
    }

    restarted(before, now) {
        return now.uptime_seconds < before.uptime_seconds
               || now.events_total < before.events_total
               || now.connections_total < before.connections_total;
    }

    compare(before, now, time) {
        const [old, present] = [before, now].map((s) => workers(s, 'pid'));
        const texts = [
            now.workers_died > before.workers_died && 'A worker died.',
            name(old.filter((pid) => !present.includes(pid)),
                 'has gone.', 'have gone.'),
            name(present.filter((pid) => !old.includes(pid)),
                 'is new.', 'are new.'),
        ];
        const text = this.restarted(before, now)
                     ? 'nginx was started anew, and its counters with it.'
                     : texts.filter(Boolean).join(' ');

        if (text) {
            this.marks.push({ time, text });
        }
    }

    snapshot(status, time) {
        const numbers = reasons(status);
        const previous = this.snapshots.at(-1);

        if (Object.entries(previous?.numbers ?? {})
                  .some(([name, n]) => numbers[name] < n))
        {
            this.snapshots = [];
        }

        if (!this.snapshots.length || time - previous.time >= STEP) {
            this.snapshots.push({ time, numbers });
        }

        while (this.snapshots.length > 1
               && this.snapshots[1].time <= time - SPAN)
        {
            this.snapshots.shift();
        }

        this.numbers = numbers;
    }

    /* How many more of a reason there are than minutes ago. */

    recent(name) {
        const [first] = this.snapshots;

        return this.numbers[name] - (first?.numbers[name] ?? 0);
    }

    latest(name) {
        return this.values[name].at(-1) ?? null;
    }

    /* The sample nearest to a moment. */

    at(time) {
        let best = -1;

        this.times.forEach((t, i) => {
            if (best < 0
                || Math.abs(t - time) < Math.abs(this.times[best] - time))
            {
                best = i;
            }
        });

        return best;
    }

    mean(name, from, to) {
        const found = this.values[name].filter((value, i) => (
            value !== null && this.times[i] >= from && this.times[i] < to));

        return found.length ? sum(found) / found.length : null;
    }

    /* A reload of the page keeps them, as long as its window is there. */

    save() {
        const { times, values, marks, snapshots, last } = this;

        try {
            sessionStorage.setItem(own(KEY), JSON.stringify({
                times, values, marks, snapshots, last }));

        } catch {
            /* no storage, or it is full: the charts begin anew */
        }
    }

    load(now) {
        try {
            const kept = JSON.parse(sessionStorage.getItem(own(KEY)));

            if (kept && now - kept.times.at(-1) < SPAN
                && NAMES.every((name) => (
                    kept.values[name].length === kept.times.length)))
            {
                Object.assign(this, kept);
            }

        } catch {
            /* none, or not ours */
        }
    }
}
