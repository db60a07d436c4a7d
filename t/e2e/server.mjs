/*
 * Starts nginx for a test, in a folder of its own under build/ and on a free
 * port of the loopback interface, and ends it.
 *
 * Environment: CHAT_NGINX, the program (nginx); CHAT_MODULE, the module's
 * file (build/ngx_chat_module.so); CHROMIUM, the browser (/usr/bin/chromium).
 *
 * npm's packages are in build/node_modules, where the Makefile installs what
 * package-lock.json says; so they are asked for by packages('name'), not by
 * import, which would look beside this file.
 */

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import fs from 'node:fs';
import http from 'node:http';
import { createRequire } from 'node:module';
import net from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { freePort } from './port.mjs';

const repo = fileURLToPath(new URL('../../', import.meta.url));
const build = path.join(repo, 'build/');
const nginx = process.env.CHAT_NGINX || 'nginx';
const limit = 10000;
const listen = /(listen\s+127\.0\.0\.1:)8080/;

export const packages = createRequire(build);

export const key = '6ed32465d0c1fff140be76a';
export const secret = '034a2c9c01f31f8e4064d';


/* A configuration with one app; the options are those of withServer(). */

function config({ workers = 1, activityTimeout = '120s', zone = '8m',
                  connections = 1024, grace = '0s', main = '', http = '',
                  id = 17536051, app = '', apps = '',
                  locations = '', listen = '',
                  module = process.env.CHAT_MODULE })
{
    const ref = apps && 'app=17536051';

    return `
load_module ${module || '../ngx_chat_module.so'};
worker_processes ${workers};
pid nginx.pid;
error_log error.log info;
${main}

events {
    worker_connections ${connections};
}

http {
    chat_zone ${zone};
    chat_database data/chat.db;
    chat_presence_grace ${grace};

    chat_app ${id} {
        key ${key};
        secret ${secret};
        client_events on;
        ${app}
    }

    ${apps}
    ${http}

    server {
        listen 127.0.0.1:8080 reuseport ${listen};
        chat_activity_timeout ${activityTimeout};

        location = /messages {
            chat_history chat ${ref};
            chat_publish chat new_message ${ref};
        }

        location = /events {
            chat_publish $http_x_channel $http_x_event ${ref};
        }

        location /app/ {
            chat_websocket;
        }

        location /pusher/ {
            chat_fallback;
            chat_cors *;
        }

        location /apps/ {
            chat_api;
        }

        location = /auth {
            chat_auth ${ref} user_id=$http_x_user
                      'user_info={"name":"Name of $http_x_user"}';
        }

        location = /chat_status {
            chat_status;
        }

        ${locations}

        location = /page {
            default_type text/html;
            return 200 '<!doctype html><title>A page</title>';
        }

        location = /favicon.ico {
            return 204;
        }

        location /pusher-js/ {
            alias ../node_modules/pusher-js/dist/web/;
        }

        location /pusher-js-7/ {
            alias ../node_modules/pusher-js-7/dist/web/;
        }

        location /pusher-js-7.0/ {
            alias ../node_modules/pusher-js-7.0/dist/web/;
        }
    }

    access_log access.log;
    client_body_temp_path client_body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
}
`;
}


/* The example configuration, but for where the module is. */

function demo(change) {
    const conf = path.join(repo, 'conf/nginx.conf');
    const text = change(fs.readFileSync(conf, 'utf8'));
    const module = process.env.CHAT_MODULE;

    return module ? text.replace(/^load_module.*$/m, `load_module ${module};`)
                  : text;
}


function accepts(port) {
    return new Promise((resolve) => {
        const socket = net.connect(port, '127.0.0.1');

        socket.on('connect', () => { socket.destroy(); resolve(true); });
        socket.on('error', () => resolve(false));
    });
}


/*
 * A request on a connection of its own, so that no worker's death meets it
 * half way; members are sent as JSON.
 */

export function request(url, method, members, headers = {},
                        timeout = limit) {
    const options = { method, agent: false, timeout,
                      headers: { ...headers } };

    if (members) {
        options.headers['Content-Type'] = 'application/json';
    }

    return new Promise((resolve, reject) => {
        const asked = http.request(url, options);

        asked.on('error', reject);
        asked.on('timeout', () => {
            asked.destroy(new Error(`no answer to ${method} ${url}`));
        });
        asked.on('response', (response) => {
            let text = '';

            response.setEncoding('utf8');
            response.on('data', (part) => { text += part; });
            response.on('error', reject);
            response.on('end', () => {
                resolve({ status: response.statusCode,
                          headers: response.headers, text });
            });
        });
        asked.end(members && JSON.stringify(members));
    });
}


class Server {
    constructor(options) {
        this.options = options;
        this.text = options.demo ? demo(options.change ?? String)
                                 : config(options);
        this.prefix = fs.mkdtempSync(path.join(build, 'e2e-'));
        this.printed = '';
        this.leaving = new Set();       // workers from before a reload
        this.forgiven = new Set();      // lines of the log, see stop()
    }

    get url() {
        return `http://127.0.0.1:${this.port}`;
    }

    /* The same again after stop(): the same database, and any port. */

    async start(port) {
        const conf = path.join(this.prefix, 'nginx.conf');
        const user = process.getuid() === 0 ? 'user root;' : '';

        this.port = port ?? await freePort();

        if (!listen.test(this.text)) {
            throw new Error('no "listen 127.0.0.1:8080" to replace');
        }

        fs.writeFileSync(conf, this.text.replace(listen, `$1${this.port}`));

        /* before it has read the file: where Debian's nginx logs to as well */
        const [program, ...first] = [...this.options.under ?? [], nginx];

        this.child = spawn(program, [...first,
                                     '-e', 'stderr', '-p', `${this.prefix}/`,
                                     '-c', conf,
                                     '-g', `daemon off; ${user}`],
                           { stdio: ['ignore', 'pipe', 'pipe'] });

        this.exit = once(this.child, 'exit');
        this.exit.catch(() => {});
        this.child.stdout.on('data', (text) => { this.printed += text; });
        this.child.stderr.on('data', (text) => { this.printed += text; });

        const end = Date.now() + limit;

        while (!await accepts(this.port)) {
            if (this.child.exitCode !== null || Date.now() > end) {
                throw new Error(`${nginx} does not accept connections`);
            }

            await Promise.race([this.exit, sleep(10)]);
        }
    }

    reload() {
        this.workers().forEach((pid) => this.leaving.add(pid));
        this.child.kill('SIGHUP');
    }

    /*
     * Where SIGTERM meets workers that leave after a reload, nginx 1.22 has
     * an alert for each client they still have.
     */

    async left() {
        const end = Date.now() + limit;

        while (this.workers().some((pid) => this.leaving.has(pid))
               && Date.now() < end)
        {
            await sleep(10);
        }

        this.leaving.clear();
    }

    /*
     * nginx's master kills who needs more than a second to end, as may be
     * where browsers want all of the cores.  That is no fault.
     */

    async stop(signal = 'SIGTERM') {
        if (!this.child || this.child.exitCode !== null
            || this.child.signalCode !== null)
        {
            return;
        }

        await this.left();

        const before = new Set(this.killed());

        this.child.kill(signal);

        const late = sleep(limit, 'late', { ref: false });

        if (await Promise.race([this.exit, late]) === 'late') {
            for (const pid of [this.child.pid, ...this.workers()]) {
                process.kill(pid, 'SIGKILL');
            }

            throw new Error(`${nginx} did not exit ${limit} ms after`
                            + ` ${signal}`);
        }

        this.killed().filter((line) => !before.has(line))
                     .forEach((line) => this.forgiven.add(line));
    }

    killed() {
        return this.log().split('\n').filter((line) => (
            /exited on signal 9/.test(line)));
    }

    log() {
        const file = path.join(this.prefix, 'error.log');

        return this.printed
               + (fs.existsSync(file) ? fs.readFileSync(file, 'utf8') : '');
    }

    /* The processes whose parent is the master: their ids. */

    workers() {
        const master = String(this.child.pid);

        return fs.readdirSync('/proc').filter((name) => {
            try {
                const stat = fs.readFileSync(`/proc/${name}/stat`, 'utf8');

                return stat.slice(stat.lastIndexOf(')')).split(' ')[2]
                       === master;

            } catch {
                return false;           // no process, or gone meanwhile
            }
        }).map(Number);
    }

    /* How many established connections each worker has, by its id. */

    connections() {
        const port = this.port.toString(16).toUpperCase().padStart(4, '0');
        const inodes = new Set();
        const counts = new Map();

        for (const line of fs.readFileSync('/proc/net/tcp', 'utf8')
                             .split('\n'))
        {
            const [, local, , status, , , , , , inode] = line.trim()
                                                             .split(/\s+/);

            if (local?.endsWith(`:${port}`) && status === '01') {
                inodes.add(`socket:[${inode}]`);
            }
        }

        for (const pid of this.workers()) {
            const links = fs.readdirSync(`/proc/${pid}/fd`).map((name) => {
                try {
                    return fs.readlinkSync(`/proc/${pid}/fd/${name}`);

                } catch {
                    return '';
                }
            });

            counts.set(pid, links.filter((link) => inodes.has(link)).length);
        }

        return counts;
    }

    /* How many clients each worker has, by its id. */

    async sessions() {
        const { per_worker: workers } = await this.status();

        return new Map(workers.map(({ pid, connections }) => (
            [pid, connections])));
    }

    request(method, target, members, headers, timeout) {
        return request(this.url + target, method, members, headers, timeout);
    }

    async post(content, socketId) {
        const { status, text } = await this.request('POST', '/messages',
                                       { content, socket_id: socketId });

        if (status !== 201) {
            throw new Error(`POST answered ${status}: ${text}`);
        }

        return JSON.parse(text);
    }

    /* Publishes on any channel: the message that the event has as its data. */

    async publish(channel, event, content) {
        const { status, text } = await this.request('POST', '/events',
            { content }, { 'X-Channel': channel, 'X-Event': event });

        if (status !== 201) {
            throw new Error(`POST to ${channel} answered ${status}: ${text}`);
        }

        return JSON.parse(text);
    }

    async status() {
        const { status, text } = await this.request('GET', '/chat_status');

        if (status !== 200) {
            throw new Error(`chat_status answered ${status}: ${text}`);
        }

        return JSON.parse(text);
    }

    /* Waits until chat_status is as it should be, and returns it. */

    async until(done, what, ms = 30000) {
        const end = Date.now() + ms;

        for ( ;; ) {
            const status = await this.status();

            if (done(status)) {
                return status;
            }

            if (Date.now() > end) {
                throw new Error(`no ${what} in ${ms} ms, but `
                                + JSON.stringify(status));
            }

            await sleep(20);
        }
    }

    async history(query = '') {
        const { status, text } = await this.request('GET',
                                                    `/messages${query}`);

        if (status !== 200) {
            throw new Error(`GET answered ${status}: ${text}`);
        }

        return JSON.parse(text);
    }
}


/*
 * Runs a test with a server.  Options: workers, activityTimeout, zone (its
 * size), connections (of a worker), module (its file), main, http and app
 * (more lines of those blocks), id (of the app), apps (more of them, as
 * blocks), locations, listen (more of its parameters); demo, for
 * conf/nginx.conf as it is, or as change() makes it;
 * port, where it must not be any; under, a command that becomes nginx;
 * transports, those that clients in Node may use;
 * allow, a pattern of lines that may be in the error log: any other alert or
 * worse there fails the test.
 */

export async function withServer(options, test) {
    const server = new Server(options);

    try {
        await server.start(options.port);
        await test(server);

        await server.stop();

        const bad = server.log().split('\n').filter((line) => (
            /\[(emerg|alert|crit)\]|Sanitizer/.test(line)
            && !server.forgiven.has(line)
            && !options.allow?.test(line)));

        if (bad.length) {
            throw new Error('the error log has alerts: '
                            + bad.slice(0, 5).join('\n'));
        }

    } catch (error) {
        error.stack += '\n--- the end of the error log:\n'
                       + server.log().split('\n').slice(-40).join('\n');
        throw error;

    } finally {
        await server.stop().catch(() => {});
        fs.rmSync(server.prefix, { recursive: true, force: true });
    }
}
