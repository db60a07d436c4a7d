/*
 * Cookies across origins, in Chromium: pages of app.example.com, which the list
 * of chat_cors has with "credentials", and of evil.example.com, which it does
 * not have, talk to chat.example.com.  That one knows its user by a cookie
 * alone.  All three names lead to one nginx.
 */

import assert from 'node:assert/strict';
import { after, before, describe, it } from 'node:test';
import { launch, Window } from './browser.mjs';
import { key, libraries } from './libraries.mjs';
import { withServer } from './server.mjs';

const limit = { timeout: 120000 };      // of a test

const http = `
    map $cookie_session $user {
        a1b2c3  ann;
    }`;

const locations = `
        chat_cors http://app.example.com:* credentials;

        location = /login {
            default_type text/html;
            add_header Set-Cookie 'session=a1b2c3; HttpOnly; SameSite=Lax';
            return 200 '<!doctype html><title>Hello Ann</title>';
        }

        location = /pusher/auth {
            chat_auth user_id=$user;
        }`;

let browser;

before(async () => {
    browser = await launch('--host-resolver-rules=MAP *.example.com 127.0.0.1');
});
after(() => browser?.close());


/* The address of a name, and a window with a page of one, as Ann has it. */

function at(server, name) {
    return `http://${name}.example.com:${server.port}`;
}


async function withPage(server, name, test) {
    const window = await Window.open(browser, `${at(server, 'chat')}/login`);

    try {
        await window.page.goto(`${at(server, name)}/page`);
        await test(window);

    } finally {
        await window.close();
    }
}


/* What a page gets by fetch(): status and body, or its complaint. */

function ask(window, server, credentials) {
    return window.page.evaluate(async ([url, credentials]) => {
        try {
            const answer = await fetch(url, {
                method: 'POST', credentials,
                headers: { 'Content-Type': 'application/json' },
                body: JSON.stringify({ socket_id: '1.1',
                                       channel_name: 'presence-room' }) });

            return [answer.status, await answer.json()];

        } catch (error) {
            return String(error);
        }
    }, [`${at(server, 'chat')}/pusher/auth`, credentials]);
}


/* Subscribes to a channel in the page, and tells how that ends. */

function subscribe(window, server, way) {
    return window.page.evaluate(async ([key, port, endpoint, way]) => {

        async function authorize({ socketId, channelName }, callback) {
            const body = new URLSearchParams({ socket_id: socketId });

            if (channelName !== undefined) {
                body.set('channel_name', channelName);
            }

            try {
                const answer = await fetch(endpoint, {
                    method: 'POST', credentials: 'include', body });

                if (!answer.ok) {
                    throw new Error(`${answer.status}`);
                }

                callback(null, await answer.json());

            } catch (error) {
                callback(error, null);
            }
        }

        const options = {
            handler: { customHandler: authorize },
            ajax: { endpoint, transport: 'ajax' },
            withCredentials: { endpoint, transport: 'ajax',
                               withCredentials: true,
                               headers: { 'X-Any': 'to have a preflight' } },
        };
        const pusher = new window.Pusher(key, {
            cluster: '', wsHost: 'chat.example.com', wsPort: port,
            forceTLS: false, enabledTransports: ['ws'],
            channelAuthorization: options[way],
            userAuthentication: options[way],
        });
        const channel = pusher.subscribe('presence-room');

        const result = await new Promise((resolve) => {
            channel.bind('pusher:subscription_succeeded', () => {
                resolve(channel.members.me.id);
            });
            channel.bind('pusher:subscription_error', resolve);
        });

        if (way === 'handler') {
            pusher.signin();
            await pusher.user.signinDonePromise;
        }

        return [result, pusher.user.user_data?.id];
    }, [key, server.port, `${at(server, 'chat')}/pusher/auth`, way]);
}


describe('cookies across origins, in Chromium', () => {

    const each = (what, test) => it(what, limit, () => (
        withServer({ http, locations }, test)));

    each('a listed page: with its cookies, where it asks for that',
         listed);
    each('another page of the same site', other);

    for (const library of libraries) {
        each(`${library.name} of a listed page`, (server) => (
            pusher(server, library)));
    }
});


async function listed(server) {
    await withPage(server, 'app', async (window) => {
        const [status, { auth, channel_data: data }] =
            await ask(window, server, 'include');

        assert.equal(status, 200);
        assert.match(auth, new RegExp(`^${key}:`));
        assert.equal(JSON.parse(data).user_id, 'ann');

        window.expected = /status of 403/;

        for (const credentials of ['same-origin', 'omit']) {
            const [status, { error }] = await ask(window, server,
                                                  credentials);

            assert.equal(status, 403, `credentials: ${credentials}`);
            assert.equal(typeof error, 'string');
        }

        assert.deepEqual(window.errors, []);
    });
}


async function other(server) {
    await withPage(server, 'evil', async (window) => {
        for (const credentials of ['include', 'omit']) {
            assert.match(await ask(window, server, credentials),
                         /Failed to fetch/);
        }
    });
}


async function pusher(server, { folder }) {
    await withPage(server, 'app', async (window) => {
        window.expected = /status of 403/;
        await window.page.addScriptTag({ url: `/${folder}/pusher.min.js` });

        assert.deepEqual(await subscribe(window, server, 'handler'),
                         ['ann', 'ann']);

        /* the library's own request has no cookies of another origin */

        for (const way of ['ajax', 'withCredentials']) {
            const [{ type, status }] = await subscribe(window, server, way);

            assert.deepEqual([type, status], ['AuthError', 403], way);
        }

        assert.deepEqual(window.errors, []);
    });
}
