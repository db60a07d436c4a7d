/*
 * nginx by the ways in which it can be started and restarted: by Debian's
 * service, by the units of conf/systemd/ (hold.pl keeps the socket open as
 * systemd does), by an upgrade in its place, by a reload.
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import readline from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Inbox } from '../e2e/inbox.mjs';
import { freePort } from '../e2e/port.mjs';
import { key } from '../e2e/server.mjs';

const repo = fileURLToPath(new URL('../../', import.meta.url));
const build = path.join(repo, 'build/');
const binary = find(process.env.CHAT_NGINX || 'nginx');
const LATE = 120000;                    // ms until all are back

/* How Debian's nginx.service stops it, for start-stop-daemon --retry. */
export const DEBIAN = 'QUIT/5/TERM/5';


/* A master finds its successor by the path that it was started with. */

function find(name) {
    const places = `${process.env.PATH}:/usr/sbin`.split(':');

    return name.includes('/')
           ? name : places.map((place) => path.join(place, name))
                          .find((file) => fs.existsSync(file));
}


function config({ prefix, port, drain }) {
    return `
load_module ${process.env.CHAT_MODULE || '../ngx_chat_module.so'};
${process.getuid() === 0 ? 'user root;' : ''}
worker_processes 2;
pid nginx.pid;
error_log error.log info;

events {
    worker_connections 4096;
}

http {
    chat_zone 8m;
    chat_database data/chat.db;
    chat_drain ${drain};

    chat_app 17536051 {
        key ${key};
        secret 034a2c9c01f31f8e4064d;
    }

    server {
        listen 127.0.0.1:${port};

        location = /messages {
            chat_history chat;
            chat_publish chat new_message;
        }

        location /app/ {
            chat_websocket;
        }
    }

    access_log off;
    client_body_temp_path ${prefix}/body;
    proxy_temp_path ${prefix}/proxy;
    fastcgi_temp_path ${prefix}/fastcgi;
    uwsgi_temp_path ${prefix}/uwsgi;
    scgi_temp_path ${prefix}/scgi;
}
`;
}


/* The settings of unit files, later ones over earlier, as { name: value }. */

export function unit(...names) {
    const settings = {};

    for (const name of names) {
        const text = fs.readFileSync(path.join(repo, 'conf/systemd', name),
                                     'utf8');

        for (const line of text.replace(/\\\n/g, ' ').split('\n')) {
            const found = /^(\w+)=(.*)$/.exec(line);

            if (found) {
                settings[found[1]] = found[2];
            }
        }
    }

    return settings;
}


/* A command line of a unit file as systemd splits it. */

export function words(line) {
    return [...line.matchAll(/'([^']*)'|"([^"]*)"|(\S+)/g)].map(
        ([, single, double, bare]) => (single ?? double ?? bare)
            .replace(/\$\$/g, '$').replace(/%%/g, '%'));
}


/* The state and the parent of a process; of none, where it is gone. */

function stat(pid) {
    try {
        const text = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
        const [, state, parent] = text.slice(text.lastIndexOf(')')).split(' ');

        return { state, parent: Number(parent) };

    } catch {
        return {};
    }
}


function isAlive(pid) {
    const { state } = stat(pid);

    return state !== undefined && state !== 'Z';
}


/* Waits for what others do by themselves. */

export async function until(done, what, details, ms = LATE) {
    for (const end = Date.now() + ms; !await done(); await sleep(5)) {
        if (Date.now() > end) {
            throw new Error(`no ${what} in ${ms} ms\n${details?.() ?? ''}`);
        }
    }
}


/* nginx that opens its sockets itself, as Debian's service starts it. */

export class Plain {
    constructor({ drain = '5s', stop = DEBIAN } = {}) {
        this.drain = drain;
        this.schedule = stop;
        this.prefix = fs.mkdtempSync(path.join(build, 'restart-'));
        this.printed = '';
    }

    get pid() {
        const file = path.join(this.prefix, 'nginx.pid');

        return fs.existsSync(file)
               ? Number(fs.readFileSync(file, 'utf8')) : 0;
    }

    get command() {
        return [binary, '-e', 'stderr', '-p', `${this.prefix}/`,
                '-c', path.join(this.prefix, 'nginx.conf')];
    }

    spawn([command, ...rest], options = {}) {
        const child = spawn(command, rest, { stdio: ['ignore', 'pipe', 'pipe'],
                                             ...options });

        child.stderr.on('data', (text) => { this.printed += text; });
        return child;
    }

    async run(command) {
        const [status] = await once(this.spawn(command), 'exit');

        return status;
    }

    async open() {
        this.port = await freePort();
    }

    configure() {
        fs.writeFileSync(path.join(this.prefix, 'nginx.conf'), config(this));
    }

    /* "daemon on" comes back when the sockets are open. */

    async start() {
        if (await this.run([...this.command, '-t']) !== 0
            || await this.run(this.command) !== 0)
        {
            throw new Error(`nginx does not start:\n${this.printed}`);
        }

        await until(() => this.pid, 'pid file');
    }

    signal(name, pid = this.pid) {
        process.kill(pid, name);
    }

    /* As start-stop-daemon --retry does it. */

    async stop(schedule = this.schedule) {
        const { pid } = this;

        if (!pid || !isAlive(pid)) {
            return;
        }

        const steps = schedule.split('/');

        for (let i = 0; i < steps.length && isAlive(pid); i += 2) {
            const end = Date.now() + steps[i + 1] * 1000;

            this.signal(`SIG${steps[i]}`, pid);

            while (isAlive(pid) && Date.now() < end) {
                await sleep(5);
            }
        }

        if (isAlive(pid)) {
            throw new Error(`nginx did not end by ${schedule}`);
        }
    }

    async restart() {
        await this.stop();
        await this.start();
    }

    log() {
        const file = path.join(this.prefix, 'error.log');

        return this.printed
               + (fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : '');
    }

    async close() {
        await this.stop('QUIT/1/TERM/5').catch(() => {});
        fs.rmSync(this.prefix, { recursive: true, force: true });
    }
}


/* The same, upgraded in its place as Debian's "service nginx upgrade" does. */

export class Upgraded extends Plain {
    async restart() {
        const old = this.pid;

        this.signal('SIGUSR2');
        await until(() => this.pid && this.pid !== old, 'new master');
        await sleep(1000);
        this.signal('SIGQUIT', old);

        await until(() => !isAlive(old), 'end of the old master');
    }
}


export class Reloaded extends Plain {
    async restart() {
        this.signal('SIGHUP');
    }
}


/* nginx with the units of conf/systemd/. */

export class Held extends Plain {
    constructor({ stop, ...options } = {}) {
        super(options);

        this.socket = unit('nginx.socket');
        this.service = unit('chat.conf', 'chat-socket.conf');
        this.schedule = stop
                        ?? /--retry (\S+)/.exec(this.service.ExecStop)[1];
        this.lines = new Inbox();
    }

    async open() {
        this.configured = words(this.service.ExecStart).map((word) => (
            word.replace('/usr/sbin/nginx', this.command.join(' '))));

        this.holder = this.spawn(
            [fileURLToPath(new URL('hold.pl', import.meta.url)), '127.0.0.1',
             this.socket.Backlog, this.service.NonBlocking === 'true' ? '1'
                                                                      : '0',
             ...this.configured],
            { stdio: ['pipe', 'pipe', 'pipe'] });

        readline.createInterface({ input: this.holder.stdout })
                .on('line', (line) => this.lines.push(line));

        await this.lines.count(1, 'port');
        this.port = Number(this.lines.items[0]);
    }

    /* Type=exec: when it is started, it may not be there yet. */

    async start() {
        if (await this.run([...this.command, '-t']) !== 0) {
            throw new Error(`nginx does not start:\n${this.printed}`);
        }

        const n = this.lines.items.length;

        this.holder.stdin.write('start\n');
        await this.lines.count(n + 1, 'start');
        this.main = Number(/^started (\d+)$/.exec(this.lines.items[n])[1]);
    }

    async started() {
        await until(() => this.pid === this.main, 'pid file');
    }

    async stop(schedule) {
        await this.started();
        await super.stop(schedule);
    }

    /* As systemd does it where the master died: all else is killed, too. */

    async kill() {
        const workers = fs.readdirSync('/proc').filter((name) => (
            /^\d+$/.test(name) && stat(name).parent === this.main));

        for (const pid of [this.main, ...workers]) {
            process.kill(Number(pid), 'SIGKILL');
        }

        await this.lines.until((lines) => (
            lines.some((line) => line.startsWith(`exited ${this.main} `))),
            'end of the killed master');
        await sleep(this.service.RestartSec * 1000);
        await this.start();
    }

    async close() {
        await super.close();
        this.holder.stdin.end();
        await once(this.holder, 'exit');
    }
}
