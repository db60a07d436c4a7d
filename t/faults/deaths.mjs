/*
 * Who is to be killed.
 */

import fs from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';


function state(pid) {
    try {
        const stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');

        return stat.slice(stat.lastIndexOf(')')).split(' ')[1];

    } catch {
        return 'gone';
    }
}


/* The master first, or it would start others. */

export async function killAll(server) {
    const pids = [server.child.pid, ...server.workers()];

    pids.forEach((pid) => process.kill(pid, 'SIGKILL'));
    await server.exit;

    while (pids.some((pid) => !['gone', 'Z', 'X'].includes(state(pid)))) {
        await sleep(2);
    }
}


/* Those that are established, to that port: their inodes. */

function established(port) {
    const hex = port.toString(16).toUpperCase().padStart(4, '0');

    return fs.readFileSync('/proc/net/tcp', 'utf8').split('\n')
        .map((line) => line.trim().split(/\s+/))
        .filter(([, , remote, status]) => remote?.endsWith(`:${hex}`)
                                          && status === '01')
        .map((fields) => fields[9]);
}


export function connections(port) {
    return established(port).length;
}


/* Those of the processes that have a connection to that port. */

export function senders(pids, port) {
    const inodes = established(port).map((inode) => `socket:[${inode}]`);

    const has = (file) => {
        try {
            return inodes.includes(fs.readlinkSync(file));

        } catch {
            return false;               // it was closed meanwhile
        }
    };

    return pids.filter((pid) => {
        const folder = `/proc/${pid}/fd`;

        return state(pid) !== 'gone'
               && fs.readdirSync(folder).some((name) => (
                   has(`${folder}/${name}`)));
    });
}
