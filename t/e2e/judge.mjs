/*
 * What pages have noted, against the truth.
 */

import { CHANNELS } from './recovery.mjs';


/*
 * Reads a page's notes of one channel against the truth.  Counts go to sums,
 * and what must not be to faults.
 */

function judgeChannel(page, i, events, sums, faults) {
    let told = null;                    // the last word on recovery
    let had = -1;                       // the last one behind the helper
    let seen = -1;                      // the highest one that came
    let raw = -1;                       // the one that came last
    let anew = true;                    // the next one may be any

    const say = (text) => faults.push(`${page.name} ${page.token}`
                          + ` ${CHANNELS[i]}: ${text},`
                          + ` told ${JSON.stringify(told)}`);

    /* those that should have come between two */

    const missing = (from, to) => events.slice(from + 1, to)
        .filter(({ sure, except }) => sure && except !== page.token).length;

    for (const [what, channel, value] of page.notes) {

        if (channel !== i) {
            continue;
        }

        if (what === 'told') {
            /* a page that has heard nothing yet is told that it begins */
            if (told === null && value.recovered) {
                say('recovered at first');
            }

            anew ||= !value.recovered;
            told = value;
            sums[value.recovered ? 'recovered' : 'not']++;
            sums.missed += value.missed ?? 0;
            raw = value.recovered ? NaN : raw;

        } else if (what === 'raw') {
            sums.raw++;

            /* a cached event is for whoever begins, be it the sender's */
            if (events[value].except === page.token) {
                sums.own++;

                if (!(anew && CHANNELS[i].includes('cache-'))) {
                    say(`${value} came, which is its own`);
                }
            }

            if (value <= seen) {
                sums.doubled++;

            } else if (!anew && missing(seen, value)) {
                say(`${value} came behind ${seen}`);
            }

            /* but for what is sent again, one after the other */

            if (value <= raw && !anew) {
                say(`${value} came behind ${raw}, out of order`);
            }

            raw = value;
            seen = Math.max(seen, value);

        } else if (what === 'once') {

            if (value <= had) {
                if (anew && CHANNELS[i].includes('cache-')) {
                    sums.cached++;
                } else {
                    say(`${value} doubled behind the helper, had ${had}`);
                }

            } else {
                const gap = had < 0 ? 0 : missing(had, value);

                if (gap && anew) {
                    sums.gaps++;
                    sums.gone += gap;

                } else if (gap) {
                    say(`${gap} lost behind the helper, ${had} to ${value}`);
                }

                had = value;
                sums.once++;
            }

            anew = false;
        }
    }
}


export function judge(site, publisher) {
    const sums = { pages: 0, recovered: 0, not: 0, missed: 0, raw: 0, once: 0,
                   doubled: 0, cached: 0, own: 0, gaps: 0,
                   gone: 0, back: 0 };
    const faults = [];

    for (const page of site.pages.values()) {
        sums.pages++;
        sums.back += page.notes.filter(([what]) => what === 'back').length;

        CHANNELS.forEach((_, i) => (
            judgeChannel(page, i, publisher.events[i], sums, faults)));
    }

    return { sums, faults };
}
