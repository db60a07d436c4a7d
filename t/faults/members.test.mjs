/*
 * Presence grace under reloads (R17): everybody in a presence channel is sent
 * away, again and again, and comes back.  Nobody is told that anybody left or
 * came, and whoever is back finds all in the list.
 *
 * 200 members and 4 reloads; CHAT_WHOLE=1: 500 and 20.
 */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { key, withServer } from '../e2e/server.mjs';
import { sign } from '../e2e/signer.mjs';
import { WebSocket } from '../e2e/websocket.mjs';

const MEMBERS = process.env.CHAT_WHOLE ? 500 : 200;
const RELOADS = process.env.CHAT_WHOLE ? 20 : 4;
const LATE = 60000;                     // ms until all are back

const channel = 'presence-room';


class Member {
    times = 0;                          // it has been let in
    counts = [];                        // members of the lists that it got

    constructor(room, user) {
        this.room = room;
        this.user = user;
        this.connect();
    }

    connect() {
        this.socket = new WebSocket(this.room.port, `/app/${key}?protocol=7`);
        this.socket.onmessage = (text) => this.message(JSON.parse(text));
        this.socket.onclose = () => {
            if (!this.room.closing) {
                this.connect();
            }
        };
    }

    message({ event, data }) {
        const told = typeof data === 'string' ? JSON.parse(data) : data;

        if (event === 'pusher:connection_established') {
            const channel_data = JSON.stringify({ user_id: this.user });
            const auth = sign(`${told.socket_id}:${channel}:${channel_data}`);

            this.socket.send(JSON.stringify({ event: 'pusher:subscribe',
                data: { channel, auth, channel_data } }));

        } else if (event === 'pusher_internal:subscription_succeeded') {
            this.times++;
            this.counts.push(told.presence.count);
            this.room.notify();

        } else if (event !== 'pusher:error' || told.code !== 4200) {
            this.room.told.push(`${this.user}: ${event} ${told.user_id}`);
            this.room.notify();
        }
    }
}


class Room {
    told = [];                          // what nobody should be told
    members = [];
    waiting = [];

    constructor(port) {
        this.port = port;
    }

    notify() {
        this.waiting = this.waiting.filter(({ done, resolve }) => {
            const met = done();

            if (met) {
                resolve();
            }

            return !met;
        });
    }

    /* Waits until all have been let in so many times. */

    all(times) {
        return this.until(() => (
            this.members.every((one) => one.times >= times)));
    }

    async until(done) {
        let timer;

        await Promise.race([
            new Promise((resolve) => {
                this.waiting.push({ done, resolve });
                this.notify();
            }),
            new Promise((_, reject) => {
                timer = setTimeout(() => reject(new Error('not all are there'
                    + `, they were told ${this.told.length} times`)), LATE);
            }),
        ]).finally(() => clearTimeout(timer));
    }

    close() {
        this.closing = true;
        this.members.forEach(({ socket }) => socket.destroy());
    }
}


describe('reloads, and a presence channel', { timeout: 900000 }, () => {

    it(`${MEMBERS} members, ${RELOADS} reloads`, () => withServer(
        { workers: 4, http: 'chat_drain 2s;', grace: '5m' },
        async (server) => {
            const room = new Room(server.port);

            try {
                for (let i = 0; i < MEMBERS; i++) {
                    room.members.push(new Member(room, `u${i}`));
                }

                await room.all(1);

                // each has heard of those who came later
                await room.until(() => (
                    room.told.length === MEMBERS * (MEMBERS - 1) / 2));
                room.told = [];
                room.members.forEach((one) => { one.counts = []; });

                for (let i = 0; i < RELOADS; i++) {
                    server.reload();

                    await room.all(i + 2);
                    await server.until(({ workers }) => workers === 4,
                                       '4 workers');
                }

                const status = await server.until(
                    (now) => now.connections === MEMBERS, 'connections');

                assert.deepEqual(room.told, [], 'nobody is told of anybody');
                assert.deepEqual([...new Set(room.members.flatMap(
                    ({ counts }) => counts))], [MEMBERS],
                    'whoever is back finds all');
                assert.equal(status.members, MEMBERS);
                assert.equal(status.members_in_grace, 0);

            } finally {
                room.close();
            }
        }));
});
