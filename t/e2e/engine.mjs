/*
 * A Redis (or Valkey) for a test, with a log that survives its death, in a
 * folder of its own and on a free port.
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePort } from './port.mjs';

const build = fileURLToPath(new URL('../../build/', import.meta.url));
const programs = ['redis-server', 'valkey-server'];


function program() {
    const dirs = [...process.env.PATH.split(':'), '/usr/bin'];

    return programs.flatMap((name) => dirs.map((dir) => `${dir}/${name}`))
                   .find((file) => fs.existsSync(file));
}


function listens(port) {
    return new Promise((resolve) => {
        const socket = net.connect(port, '127.0.0.1');

        socket.on('connect', () => { socket.destroy(); resolve(true); });
        socket.on('error', () => resolve(false));
    });
}


export class Engine {
    static async start() {
        const engine = new Engine();

        engine.dir = fs.mkdtempSync(`${build}engine-`);
        engine.port = await freePort();
        await engine.run();

        return engine;
    }

    get url() {
        return `redis://127.0.0.1:${this.port}`;
    }

    async run() {
        this.child = spawn(program(), [
            '--port', this.port, '--bind', '127.0.0.1', '--dir', this.dir,
            '--save', '', '--appendonly', 'yes', '--appendfsync', 'always',
        ], { stdio: 'ignore' });
        this.exit = once(this.child, 'exit');

        while (!await listens(this.port)) {
            await sleep(10);
        }
    }

    stop() {
        this.child.kill('SIGSTOP');
    }

    go() {
        this.child.kill('SIGCONT');
    }

    async kill() {
        this.go();
        this.child.kill('SIGKILL');
        await this.exit;
    }

    async finish() {
        await this.kill();
        fs.rmSync(this.dir, { recursive: true });
    }
}
