/*
 * A port for a server: none that the kernel would give to somebody's client
 * before the server listens there, or while it is away; and none that browsers
 * refuse, which are all below FIRST.
 */

import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';

const FIRST = 10100;


export async function freePort() {
    const [low] = fs.readFileSync('/proc/sys/net/ipv4/ip_local_port_range',
                                  'utf8').split(/\s/);

    for ( ;; ) {
        const port = FIRST + Math.floor(Math.random() * (low - FIRST));
        const server = net.createServer().listen(port, '127.0.0.1');

        try {
            await once(server, 'listening');

        } catch {
            continue;
        }

        server.close();
        await once(server, 'close');

        return port;
    }
}
