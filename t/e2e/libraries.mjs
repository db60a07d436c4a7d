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


/* The class, for Node. */

export function load(library) {
    return packages(library.folder);
}


export function location(server) {
    return {
        cluster: '',
        wsHost: '127.0.0.1',
        wsPort: server.port,
        forceTLS: false,
        enabledTransports: ['ws', 'wss'],
        disableStats: true,
    };
}


/* The options of a client: whose, and who authorizes; nginx, if left out. */

export function options(library, server, user, { channels, users } = {}) {
    const nginx = `${server.url}/auth`;
    const headers = user === undefined ? {} : { 'X-User': user };

    return { ...location(server),
             ...library.authorization(channels ?? nginx, users ?? nginx,
                                      headers) };
}


export { key };
