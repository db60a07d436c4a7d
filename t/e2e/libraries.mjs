/*
 * The lines of pusher-js that people have, and how each is told where the
 * server is and who authorizes: in the words of its own time.
 */

import { key, packages } from './server.mjs';


export const libraries = [
    {
        name: 'pusher-js',              // the current version
        folder: 'pusher-js',

        authorization: (channels, users, headers) => ({
            channelAuthorization: { endpoint: channels, headers,
                                    transport: 'ajax' },
            userAuthentication: { endpoint: users, headers,
                                  transport: 'ajax' },
        }),
    }, {
        name: 'pusher-js 7',
        folder: 'pusher-js-7',

        authorization: (channels, users, headers) => ({
            authEndpoint: channels,
            auth: { headers },
            userAuthentication: { endpoint: users, headers,
                                  transport: 'ajax' },
        }),
    },
];


/* What pages have that were never updated: it knows no sign-in. */

export const oldest = {
    name: 'pusher-js 7.0',
    folder: 'pusher-js-7.0',

    authorization: (channels, users, headers) => ({
        authEndpoint: channels,
        auth: { headers },
    }),
};


/* The class, for Node. */

export function load(library) {
    return packages(library.folder);
}


/* Where the server is; by transport: those that the library may use. */

export function location(server, transports = ['ws', 'wss']) {
    return {
        cluster: '',
        wsHost: '127.0.0.1',
        wsPort: server.port,
        httpHost: '127.0.0.1',
        httpPort: server.port,
        forceTLS: false,
        enabledTransports: transports,
        disableStats: true,
    };
}


/* The options of a client: whose, and who authorizes; nginx, if left out. */

export function options(library, server, user, { channels, users } = {},
                        transports)
{
    const nginx = `${server.url}/auth`;
    const headers = user === undefined ? {} : { 'X-User': user };

    return { ...location(server, transports),
             ...library.authorization(channels ?? nginx, users ?? nginx,
                                      headers) };
}


export { key };
