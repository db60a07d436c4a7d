/*
 * What a server's HTTP API tells of channels and their members, in the form of
 * a receiver's books.
 */

import assert from 'node:assert/strict';
import { key, packages, secret } from '../e2e/server.mjs';

const Pusher = packages('pusher');


export async function recount(server) {
    const api = new Pusher({ appId: '17536051', key, secret,
                             host: '127.0.0.1', useTLS: false,
                             port: String(server.port) });
    const get = async (path) => {
        const answer = await api.get({ path });

        assert.equal(answer.status, 200, path);
        return answer.json();
    };
    const { channels } = await get('/channels');
    const sum = {};

    for (const channel of Object.keys(channels).sort()) {
        const { users } = channel.startsWith('presence-')
                          ? await get(`/channels/${channel}/users`)
                          : { users: [] };

        sum[channel] = users.map(({ id }) => id).sort();
    }

    return sum;
}
