/*
 * A process of its own whose members all leave at once when it is killed:
 * "port members channels" are its arguments; it says when all are there.
 */

import { keep, member } from './idle.mjs';

const [port, members, channels] = process.argv.slice(2).map(Number);
const AT_ONCE = 50;

const all = [];

keep(all);
process.on('disconnect', () => process.exit());

while (all.length < members) {
    const n = Math.min(AT_ONCE, members - all.length);
    const first = all.length;

    all.push(...await Promise.all(Array.from({ length: n }, (_, i) => (
        member(port, `user-${first + i}`,
               `presence-${(first + i) % channels}`,
               () => { throw new Error('one was closed'); })))));
}

process.send('there');
