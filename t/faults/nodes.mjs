/*
 * Nodes over one engine, and what goes wrong with them.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../e2e/port.mjs';
import { withServer } from '../e2e/server.mjs';
import { killAll } from './deaths.mjs';

// what happens to workers and to the engine is logged, as are requests that
// are not answered in time
const ALLOW = new RegExp([
    'exited on signal 9', 'was locked by', 'shared memory was wiped',
    'chat cluster: ', 'open socket',
].join('|'));


/* Calls test with so many nodes. */

export async function withNodes(names, engine, test, options = {},
                                servers = []) {
    const [name, ...others] = names;

    if (!name) {
        return test(servers);
    }

    await withServer({
        workers: 2, ...options, port: await freePort(), allow: ALLOW,
        http: `chat_cluster ${engine.url} name=${name} lease=3s timeout=5s;
               chat_drain 1s;`,
    }, (server) => withNodes(others, engine, test, options,
                             [...servers, server]));
}


/* One thing that goes wrong, and right again. */

export async function harm(kind, servers, engine, random) {
    const server = servers[random(servers.length)];
    const pids = server.workers();

    switch (kind) {

    case 'worker':
        process.kill(pids[random(pids.length)], 'SIGKILL');
        break;

    case 'node':
        await killAll(server);
        await sleep(random(1500));
        await server.start(server.port);
        break;

    case 'stopped':
        pids.forEach((pid) => process.kill(pid, 'SIGSTOP'));
        await sleep(random(4000));
        pids.forEach((pid) => process.kill(pid, 'SIGCONT'));
        break;

    case 'reload':
        server.reload();
        break;

    case 'engine stopped':
        engine.stop();
        await sleep(random(1500));
        engine.go();
        break;

    case 'engine killed':
        await engine.kill();
        await sleep(random(500));
        await engine.run();
        break;
    }
}
