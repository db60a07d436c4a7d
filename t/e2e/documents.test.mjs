/*
 * The examples of conf/clients.md and conf/servers.md, as they stand there: a
 * server with TLS is their chat.example.com, with their key and secret, and
 * what they show must happen.  None in JavaScript or for a shell is left out.
 */

import assert from 'node:assert/strict';
import { execFile, execFileSync, fork } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, it } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Inbox } from './inbox.mjs';
import { freePort } from './port.mjs';
import { withServer } from './server.mjs';

const repo = fileURLToPath(new URL('../../', import.meta.url));
const hook = new URL('hosts.mjs', import.meta.url).href;
const limit = { timeout: 60000 };

const CHAT = 'chat.example.com';
const PUSHER = 'sockjs-mt1.pusher.com';
const TESTED = ['js', 'diff', 'sh'];

let folder;                             // of the certificate
let ports;                              // of the server


before(async () => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), 'chat-'));
    ports = { plain: await freePort(), tls: await freePort(),
              wall: await freePort() };

    execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes',
                             '-days', '2', '-subj', `/CN=${CHAT}`,
                             '-addext', `subjectAltName=DNS:${CHAT},`
                                        + `DNS:${PUSHER}`,
                             '-keyout', path.join(folder, 'key'),
                             '-out', path.join(folder, 'cert')],
                 { stdio: 'ignore' });

    fs.writeFileSync(path.join(folder, '.curlrc'),
                     `connect-to = "${CHAT}:443:127.0.0.1:${ports.tls}"\n`
                     + `cacert = "${path.join(folder, 'cert')}"\n`);
});

after(() => fs.rmSync(folder, { recursive: true }));


/* The pieces of a document under each of its headings. */

class Document {
    pieces = [];

    constructor(file) {
        this.file = file;
        this.text = fs.readFileSync(path.join(repo, file), 'utf8');

        let heading;

        for (const [, title, language, text] of this.text.matchAll(
            /^#+ (.*)$|^```(\w+)\n([^]*?)^```$/gm))
        {
            heading = title ?? heading;

            if (title === undefined) {
                this.pieces.push({ heading, language, text });
            }
        }
    }

    piece(heading, language, n = 0) {
        const piece = this.pieces.filter((one) => (
            one.heading === heading && one.language === language))[n];

        assert.ok(piece, `${this.file}: ${heading}, ${language}`);
        piece.used = true;

        return piece.text;
    }

    unused() {
        return this.pieces.filter(({ language, used }) => (
            TESTED.includes(language) && !used))
            .map(({ heading, language }) => `${heading}: ${language}`);
    }
}


const clients = new Document('conf/clients.md');
const servers = new Document('conf/servers.md');


/* The documents' server, and one whose WebSockets do not get through. */

function http() {
    const tls = `ssl_certificate ${folder}/cert;
                 ssl_certificate_key ${folder}/key;`;

    return `
    server {
        listen 127.0.0.1:${ports.plain};
        listen 127.0.0.1:${ports.tls} ssl;
        ${tls}

        location = /messages {
            chat_history chat;
            chat_publish chat new_message;
        }

        location = /team-a {
            chat_publish presence-team-a new_message;
        }

        location /app/ { chat_websocket; }
        location /pusher/ { chat_fallback; }
        location /apps/ { chat_api; }
        location = /pusher/auth { chat_auth user_id=ann; }
        location = /chat_status { chat_status; }
    }

    server {
        listen 127.0.0.1:${ports.wall} ssl;
        ${tls}

        location /app/ { return 403; }
        location /pusher/ { chat_fallback; }
    }`;
}


/* An example in Node: the lines that it prints, the hosts that it asks. */

class Example {
    static count = 0;

    lines = new Inbox();
    asked = new Inbox();
    errors = '';

    constructor(server, text, { hosts, faster } = {}) {
        const file = path.join(server.prefix, `${++Example.count}.mjs`);

        fs.writeFileSync(file, text);

        this.child = fork(file, {
            execArgv: ['--import', hook],
            env: { ...process.env, CHAT_FASTER: faster ?? 1,
                   CHAT_HOSTS: JSON.stringify(hosts ?? {
                       [`${CHAT}:80`]: ports.plain,
                       [`${CHAT}:443`]: ports.tls }),
                   NODE_EXTRA_CA_CERTS: path.join(folder, 'cert') },
            stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
        });

        let rest = '';

        this.child.on('message', ({ asked }) => this.asked.push(asked));
        this.child.stderr.setEncoding('utf8').on('data', (part) => {
            this.errors += part;
        });
        this.child.stdout.setEncoding('utf8').on('data', (part) => {
            const lines = (rest + part).split('\n');

            rest = lines.pop();
            lines.forEach((line) => this.lines.push(line));
        });

        this.end = new Promise((resolve) => {
            this.child.on('close', (code, signal) => {
                resolve(signal ?? code);
            });
        });
    }

    prints(...lines) {
        return this.lines.until((items) => (
            lines.every((line) => items.includes(line))), `line ${lines}`)
            .catch((error) => {
                error.message += `\n${this.errors}`;
                throw error;
            });
    }

    asks(host) {
        return this.asked.until((items) => items.includes(host),
                                `connection to ${host}`);
    }

    /* hosts but the documents' */

    others() {
        return this.asked.items.filter((host) => !host.startsWith(`${CHAT}:`));
    }

    async stop() {
        this.child.kill();
        await this.end;
        assert.equal(this.errors, '');
    }
}


/* The server with examples that run beside each other, and are ended. */

function documented(name, test) {
    it(name, limit, () => withServer(
        { id: 1001, app: 'key KEY; secret SECRET;', http: http() },
        async (server) => {
            const examples = [];
            const run = (text, options) => {
                examples.push(new Example(server, text, options));
                return examples.at(-1);
            };

            try {
                await test(server, run);

            } finally {
                await Promise.all(examples.map((one) => one.stop()));
            }
        }));
}


const subscribed = (server, n = 1) => server.until(
    ({ subscriptions }) => subscriptions === n, `${n} subscriptions`);


/* The example prints a message that is posted, and asks nobody else for it. */

async function hears(server, example, port) {
    await subscribed(server);
    await server.post('hello');
    await example.prints('hello');
    assert.equal(example.asked.items[0], `${CHAT}:${port}`);
    assert.deepEqual(example.others(), []);
}


/* A shell's commands, in the repository's folder: what they print. */

async function shell(text) {
    const { stdout } = await promisify(execFile)('sh', ['-e', '-c', text], {
        cwd: repo, env: { ...process.env, CURL_HOME: folder },
    });

    return stdout;
}


describe('conf/clients.md', () => {

    documented('pusher-js', async (server, run) => {
        await hears(server, run(clients.piece('pusher-js', 'js')), 443);
    });

    documented('pusher-js without TLS', async (server, run) => {
        await hears(server, run(clients.piece('pusher-js', 'js', 1)), 80);
    });

    documented('pusher-js without WebSocket', async (server, run) => {
        const text = clients.piece('Without WebSocket', 'js');

        await hears(server,
                    run(text, { hosts: { [`${CHAT}:443`]: ports.wall } }),
                    443);
    });

    documented('private channels, presence, sign-in', async (server, run) => {
        const text = clients.piece('Private channels, presence, sign-in',
                                   'js');
        const example = run(text);

        await subscribed(server, 2);    // with the user's own channel
        await server.publish('presence-team-a', 'new_message', 'to a team');
        await server.publish('#server-to-user-ann', 'told', 'to a user');
        await example.prints('to a team', 'to a user');
    });

    documented('a token', async (server, run) => {
        const [, token] = clients.text.match(/`('KEY;' \+ [^`]*)` in place/);
        const text = clients.piece('pusher-js', 'js');
        const example = run(
            `${text.replace("'KEY'", token)}
             pusher.channel('chat').bind('pusher:subscription_succeeded',
                 ({ recovered }) => console.log('recovered', recovered));`);

        await example.prints('recovered false');
        await hears(server, example, 443);
    });

    for (const broadcaster of ['pusher', 'reverb']) {
        documented(`Laravel Echo, ${broadcaster}`, async (server, run) => {
            const text = clients.piece('Laravel Echo', 'js');
            const line = `broadcaster: '${broadcaster}'`;

            await hears(server,
                        run(text.replace("broadcaster: 'pusher'", line)), 443);
        });
    }

    documented('Angular', async (server, run) => {
        const text = clients.piece('Angular and other tutorials', 'diff')
                            .replace(/^-.*\n/gm, '').replace(/^./gm, '');

        await hears(server, run(`
            import Pusher from 'pusher-js';

            const environment = { pusher: { key: 'KEY' } };

            class PusherService {
                constructor() {
                    ${text}
                }
            }

            new PusherService().pusher.subscribe('chat').bind('new_message',
                ({ content }) => console.log(content));`), 443);
    });
});


describe('conf/clients.md: enabledTransports', () => {

    const away = { hosts: {}, faster: 20 };
    const heading = 'pusher-js';
    const enabled = /^ *enabledTransports: .*\n/m;

    /* another key and cluster, and the state is told */

    const altered = (n, change) => (
        change(clients.piece(heading, 'js', n).replace("'KEY'", "'OTHER'")
                      .replace("cluster: ''", "cluster: 'mt1'"))
        + `pusher.connection.bind('state_change', ({ current }) => {
               console.log(current);
           });`);

    const without = (text) => text.replace(enabled, '');

    for (const [n, name, port] of [[0, 'with TLS', 443],
                                   [1, 'without TLS', 80]])
    {
        documented(`with it, the server away, ${name}`,
                   async (server, run) => {
            const example = run(altered(n, (text) => text), away);

            await example.prints('unavailable');    // behind all others
            await example.stop();                   // has told all it asked
            assert.deepEqual(example.others(), []);
        });

        documented(`without it, the server away, ${name}`,
                   async (server, run) => {
            await run(altered(n, without), away)
                .asks(`${PUSHER}:${port}`);
        });
    }

    documented('without it, where nobody knows the key',
               async (server, run) => {
        const example = run(altered(0, without), {
            hosts: { [`${PUSHER}:443`]: ports.wall } });

        await example.prints('disconnected');
    });

    documented('without it, and without a cluster', async (server, run) => {
        await run(without(clients.piece(heading, 'js')), away)
            .asks('sockjs.pusher.com:443');
    });
});


describe('conf/servers.md', () => {

    /* what comes to the client of clients.md */

    const listening = (name, test) => documented(name, async (server, run) => {
        const client = run(clients.piece('pusher-js', 'js'));

        await subscribed(server);
        await test(server, run, client);
    });

    listening('Node', async (server, run, client) => {
        const node = run(servers.piece('Node', 'js'));

        await client.prints('hello');
        assert.equal(await node.end, 0);
        assert.deepEqual(node.asked.items, [`${CHAT}:443`]);
    });

    listening('Node, more than sending', async (server, run) => {
        const [row] = servers.text.match(/^\| Node \|.*$/m);
        const [who, signature, end] = row.match(/(?<=`)[^`|]+(?=`)/g);
        const node = run(`${servers.piece('Node', 'js')}
            const [socketId, channel, user] = ['1.2', 'private-x', 'ann'];

            console.log(await (${who}).text());
            console.log(Object.keys(${signature}).join());
            console.log((${end}).status);`);

        await node.prints('{"channels":{"chat":{}}}', 'auth', '200');
    });

    listening('the shell', async (server, run, client) => {
        const printed = await shell(servers.piece('The shell', 'sh'));

        assert.deepEqual(printed.trim().split('\n').map(JSON.parse), [
            {}, {},
            { channels: { chat: { subscription_count: 1 } } },
            { occupied: true, subscription_count: 1 },
            { users: [] },
            {},
        ]);
        await client.prints('hello');
    });

    listening('curl alone', async (server, run, client) => {
        assert.equal(await shell(servers.piece('curl alone', 'sh')), '{}');
        await client.prints('hello');
    });
});


it('no example is left out', () => {
    assert.deepEqual([...clients.unused(), ...servers.unused()], []);
});
