/*
 * For node --import, before an example of the documents: the hosts that it
 * names, and that do not exist, are ports of this machine.
 *
 * CHAT_HOSTS is JSON, such as { "chat.example.com:443": 12345 }; nobody listens
 * on any other host.  The test is told of each connection that is asked for.
 * With CHAT_FASTER, such as 20, all timers are as many times as fast.
 */

import { webcrypto } from 'node:crypto';
import net from 'node:net';

const hosts = JSON.parse(process.env.CHAT_HOSTS);
const faster = Number(process.env.CHAT_FASTER || 1);
const { connect } = net.Socket.prototype;
const { setTimeout: set } = globalThis;


/* TLS checks the name in the options that it has, so they stay. */

function led(options) {
    const name = `${options.host}:${options.port}`;

    process.send({ asked: name });

    return { ...options, host: '127.0.0.1', port: hosts[name] ?? 1 };
}


net.Socket.prototype.connect = function (first, ...rest) {
    if (Array.isArray(first)) {         // as net itself calls it
        first[0] = led(first[0]);

    } else {
        first = led(first);
    }

    return connect.call(this, first, ...rest);
};

/* what a page has */

globalThis.window = globalThis;
globalThis.crypto ??= webcrypto;

globalThis.setTimeout = (what, ms, ...args) => set(what, ms / faster, ...args);
