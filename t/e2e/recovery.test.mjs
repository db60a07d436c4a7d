/*
 * Recovery against the truth: pages with each line of pusher-js are cut off
 * again and again, in all the ways that connections end.  At the end each of
 * them has every event, in order, but where it was told that some are gone;
 * and behind the helper of conf/once.js it has none twice.
 *
 * There are 20 cuts, with CHAT_WHOLE 300, with CUTS=n so many; with
 * CUTS_BY=node there are no windows, but clients in Node alone.
 * CUTS_SEED=n chooses again what a run has chosen by chance (its timing is
 * another matter); the seed is printed, and so are the sums.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { launch } from './browser.mjs';
import { generator } from './churn.mjs';
import { Proxy } from './cut.mjs';
import { judge } from './judge.mjs';
import { LIBRARIES, Publisher, Site } from './recovery.mjs';
import { withServer } from './server.mjs';

const CUTS = Number(process.env.CUTS ?? (process.env.CHAT_WHOLE ? 300 : 20));
const WINDOWS = process.env.CUTS_BY === 'node' ? []
              : process.env.CHAT_WHOLE ? ['heavy window', 'window']
                                       : ['window'];
const PAUSE = 60;                       // ms between events, at most
const BETWEEN = 250;                    // ms between cuts, at most
const FROZEN = 3500;                    // ms: pusher-js gives up after 2000
const LATE = 90000;                     // ms until all have the last event

const limit = { timeout: 300000 + CUTS * 4000 };

const directives = `
    chat_send_buffer 256k;
    chat_drain 2s;
`;


/* The ways to cut; each is done to a page, and its link where there is one. */

const ways = {
    rst: ({ link }) => link?.reset(),
    fin: ({ link }) => link?.fin(),
    linger0: ({ link, random }) => link?.swallow(random(300)),
    bytes: ({ link, random }) => { if (link) { link.left = random(4000); } },

    held: async ({ link, random }) => {
        link?.hold();
        await sleep(random(2000));
        link?.thaw();
    },

    /* nobody knows; then the page closes, and later the rest arrives */
    frozen: async ({ link, random }) => {
        link?.hold();
        await sleep(FROZEN + random(1000));
        link?.thaw();
    },

    lost: async ({ link, random }) => {
        link?.hold();
        await sleep(FROZEN + random(1000));
        link?.reset();
    },

    busy: ({ page, site, random }) => {
        site.orders.set(page.name, ['busy', 1000 + random(4000)]);
    },

    away: ({ page, site, random }) => {
        site.orders.set(page.name, ['away', 200 + random(2000)]);
    },

    slow: async ({ link, publisher }) => {
        link?.upstream.pause();
        await publisher.burst();
        link?.upstream.resume();
    },

    reload: ({ server }) => server.reload(),

    kill: ({ server, random }) => {
        const workers = server.workers();

        process.kill(workers[random(workers.length)], 'SIGKILL');
    },
};

/* how often each comes */
const weights = { rst: 5, fin: 4, linger0: 4, bytes: 5, held: 2, frozen: 3,
                  lost: 2, busy: 4, away: 3, slow: 1, reload: 1, kill: 1 };

const choice = Object.entries(weights)
                     .flatMap(([way, n]) => Array(n).fill(way));


function fits(way, page) {
    return way === 'slow' ? page.name.startsWith('heavy')
         : way === 'busy' || way === 'away' ? !page.pusher : true;
}


/*
 * What comes behind a cut, at times: another one for the page's next
 * connection, during its replay or while it is being authorised.
 */

function again(proxy, page, random) {
    const ms = random(500);
    const bytes = random(6000);

    proxy.plans.set(page.token, random(2)
        ? (link) => { link.left = bytes; }
        : (link) => { setTimeout(() => link.reset(), ms); });
}


async function cutAll(all, counts) {
    const { site, proxy, random } = all;
    const pending = new Set();

    for (let n = 0; n < CUTS; /* void */) {
        const pages = site.current();
        const page = pages[random(pages.length)];
        const way = choice[random(choice.length)];

        if (!fits(way, page)) {
            continue;
        }

        n++;
        counts[way] = (counts[way] ?? 0) + 1;

        if (random(4) === 0) {
            counts.again = (counts.again ?? 0) + 1;
            again(proxy, page, random);
        }

        const link = proxy.links.get(page.token);
        const done = Promise.resolve(ways[way]({ ...all, page, link }))
                            .then(() => pending.delete(done));

        pending.add(done);
        await sleep(random(BETWEEN));
    }

    await Promise.all(pending);
}


async function until(done, ms) {
    for (const end = Date.now() + ms; !done() && Date.now() < end; /* void */) {
        await sleep(50);
    }
}


async function run(server, browser, seed, transports) {
    const random = generator(seed);
    const site = new Site(random, transports);
    const proxy = new Proxy();
    const publisher = new Publisher(server, random, site);
    const counts = {};

    await proxy.start(server.port);
    await site.start(proxy.port);

    try {
        for (const library of LIBRARIES) {
            site.open(`heavy node ${library}`, library);
            site.open(`node ${library}`, library);

            for (const kind of WINDOWS) {
                /* or one's handshake would wait for another's */
                const context = await browser.newContext();
                const page = await context.newPage();

                page.setDefaultTimeout(120000);

                await page.goto(`${site.url}/page?library=${library}&name=`
                                + encodeURIComponent(`${kind} ${library}`));
            }
        }

        publisher.start(PAUSE);
        await cutAll({ server, site, proxy, publisher, random }, counts);

        await publisher.stop();

        let last;
        const late = () => site.current().filter((page) => !page.has(last));

        /* who was loaded anew meanwhile has subscribed too late for some */

        for (const end = Date.now() + LATE; Date.now() < end; /* void */) {
            last = await publisher.finish();
            await until(() => late().length === 0, 5000);

            if (late().length === 0) {
                break;
            }
        }

        const { sums, faults } = judge(site, publisher);
        const status = await server.status();

        console.error(JSON.stringify({ seed, transports, cuts: CUTS, counts,
            sums,
            late: late().map(({ name, state, last }) => [name, state, last]),
            status: Object.fromEntries(Object.entries(status).filter(
                ([name]) => /recover|token|park|ackn/.test(name))) }));

        assert.deepEqual(faults.slice(0, 20), [], `${faults.length} faults`);
        assert.deepEqual(late().map((page) => [page.name, page.state,
                                               page.last]),
                         [], `who has not got ${last}`);
        assert.ok(sums.recovered && sums.once, 'something happened');

    } finally {
        site.close();
        proxy.close();
    }
}


describe('recovery', () => {
    for (const transports of [['ws'], ['xhr_streaming', 'xhr_polling']]) {
        const by = transports.join(' and ');

        it(`tells the truth by ${by}`, limit, async () => {
            const seed = Number(process.env.CUTS_SEED ?? Date.now() % 1000000);
            const browser = await launch();

            try {
                await withServer({ workers: 4, zone: '32m', http: directives,
                                   listen: 'sndbuf=16k',
                                   allow: /exited on signal 9/ },
                                 (server) => run(server, browser, seed,
                                                 transports));
            } finally {
                await browser.close();
            }
        });
    }
});
