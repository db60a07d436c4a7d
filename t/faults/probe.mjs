/*
 * A process of its own that sends Pings on some connections, and measures how
 * long the longest answer took: "port" is its argument, {} asks it for what
 * it has seen since it was asked last.  Its own delays count, too.
 *
 * { answers: n } asks it to tell when each connection has had so many to what
 * it has sent since.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { key } from '../e2e/server.mjs';
import { WebSocket } from '../e2e/websocket.mjs';

const CONNECTIONS = 16;
const EVERY = 10;

let worst = 0, count = 0;


class Prober extends WebSocket {
    due = 0;

    frame(opcode, payload) {
        if (opcode !== 10) {
            super.frame(opcode, payload);
            return;
        }

        const passed = performance.now() - payload.readDoubleLE(0);

        this.waiting = false;
        worst = Math.max(worst, passed);
        count++;

        if (this.due && --this.due === 0
            && probers.every(({ due }) => due === 0))
        {
            process.send({});
        }
    }

    ping() {
        const now = Buffer.alloc(8);

        if (!this.open || this.waiting) {
            return;
        }

        this.waiting = true;
        now.writeDoubleLE(performance.now());
        this.write(9, now);
    }
}


const probers = Array.from({ length: CONNECTIONS }, () => (
    new Prober(Number(process.argv[2]), `/app/${key}?protocol=7`)));

process.on('message', ({ answers }) => {
    if (answers) {
        // the first may be to a Ping from before
        probers.forEach((one) => { one.due = answers + 1; });
        return;
    }

    process.send({ worst, count });
    worst = count = 0;
});

process.on('disconnect', () => process.exit());

for ( ;; ) {
    probers.forEach((one) => one.ping());
    await sleep(EVERY);
}
