/*
 * A port for a server: none that the kernel would give to somebody's client
 * before the server listens there, or while it is away.
 */

import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';


export async function freePort() {
    const [low] = fs.readFileSync('/proc/sys/net/ipv4/ip_local_port_range',
                                  'utf8').split(/\s/);

    for ( ;; ) {
        const port = 5000 + Math.floor(Math.random() * (low - 5000));
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
