/*
 * soak.mjs MINUTES: churn, load and reloads, for as long as is said.  Memory
 * (PSS) and descriptors of all of nginx must stay what they were after the
 * first minute (or, of a shorter time, after a third of it).
 *
 * A line every ten seconds, a verdict at the end.  A reload is made each
 * minute; a sample that meets leaving workers waits for their end.
 */

import fs from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { withServer } from '../e2e/server.mjs';
import { Storm } from './storm.mjs';

const MINUTES = Number(process.argv[2] ?? 30);
const SETTLE = Math.min(60000, MINUTES * 20000);
const EVERY = 10000;
const RELOAD = 60000;

// what may come and go: malloc's and SQLite's caches of a new worker
const MORE_MEMORY = 1.15;
const MORE_FILES = 8;


function pss(pid) {
    const text = fs.readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');

    return +/^Pss:\s+(\d+)/m.exec(text)[1];
}


/* Sockets are clients': how many there are is known. */

function files(pid) {
    return fs.readdirSync(`/proc/${pid}/fd`).filter((fd) => {
        try {
            return !fs.readlinkSync(`/proc/${pid}/fd/${fd}`)
                      .startsWith('socket:');

        } catch {
            return false;
        }
    }).length;
}


async function sample(server) {
    for ( ;; ) {
        const pids = [server.child.pid, ...server.workers()];

        if (pids.length === 5) {
            try {
                return { kb: pids.reduce((sum, pid) => sum + pss(pid), 0),
                         files: pids.reduce((sum, pid) => sum + files(pid),
                                            0) };
            } catch {
                // a worker has just ended
            }
        }

        await sleep(50);
    }
}


await withServer(
    { workers: 4, zone: '8m', http: 'chat_drain 2s;', app: 'cache_ttl 1s;' },
    async (server) => {
        const storm = new Storm(server, { seed: Date.now() });
        const start = Date.now();
        const samples = [];
        let reload = start + RELOAD / 2;

        try {
            await storm.start();

            while (Date.now() - start < MINUTES * 60000) {
                await sleep(EVERY);

                if (Date.now() > reload) {
                    reload += RELOAD;
                    server.reload();
                    await sleep(1000);
                }

                const now = await sample(server);
                const status = await server.status();

                now.at = Date.now() - start;
                samples.push(now);

                console.log(`${Math.round(now.at / 1000)} s: `
                    + `${now.kb} kB, ${now.files} files, `
                    + `zone ${status.zone_used_bytes}, `
                    + `${storm.posted.length} posted, `
                    + `${status.deliveries_total} delivered, closes `
                    + JSON.stringify(storm.closes()));
            }

            await storm.stop();
            await storm.check();
            await storm.checkEmpty();

        } finally {
            storm.close();
        }

        const base = samples.filter(({ at }) => at <= SETTLE + EVERY).at(-1)
                     ?? samples[0];
        const rest = samples.filter(({ at }) => at > base.at);

        // the mean of the last third: one sample may meet a peak
        const last = rest.slice(-Math.ceil(rest.length / 3));
        const mean = (what) => (last.reduce((sum, one) => sum + one[what], 0)
                                / last.length);
        const flat = last.length > 0
                     && mean('kb') <= base.kb * MORE_MEMORY
                     && mean('files') <= base.files + MORE_FILES;

        console.log(`${flat ? 'flat' : 'NOT FLAT'}: ${base.kb} kB and `
            + `${base.files} files after ${Math.round(base.at / 1000)} s, `
            + `${Math.round(mean('kb'))} kB and ${mean('files').toFixed(1)} `
            + 'files in the last third; every message seen once, nothing '
            + 'left in the zone');

        process.exitCode = flat ? 0 : 1;
    });
