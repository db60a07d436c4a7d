/*
 * What each kind of incident means, and what to do about it.
 *
 * bad: something was lost, refused or stopped working; cases: what to do
 * where the detail says this.
 */

export const KINDS = {
    database_open: {
        title: 'The database can’t be opened',
        bad: true,
        means: 'Messages and history are answered with 503. Events that are '
               + 'not stored go on.',
        todo: 'Look whether the file of chat_database is there, belongs to '
              + 'the workers’ user, and is this module’s. Put it, or a '
              + 'backup, in its place: it is opened within a second.',
    },
    database_write: {
        title: 'Messages could not be stored',
        bad: true,
        means: 'Whoever sent them got a 503, and may send them again. What '
               + 'had a 201 before is stored.',
        todo: 'SQLite’s words above say why; the error log may have more.',
        cases: [
            [/full/, 'Make room on the disk that the file is on. Messages are '
                     + 'stored again as soon as there is some.'],
            [/locked|waited/, 'Another program, or another worker, has held '
                     + 'the file for more than ten seconds. Find it (fuser '
                     + 'FILE), and end it or give it shorter transactions.'],
            [/I\/O/, 'The disk, or a limit of the file’s size, does not let it '
                     + 'be written. The error log has the system’s words.'],
            [/readonly|read-only/, 'Look at the rights of the file and its '
                     + 'folder, and whether the file system is read-only.'],
        ],
    },
    database_read: {
        title: 'History could not be read',
        bad: true,
        means: 'Its readers got a 503.',
        todo: 'If this goes on, check the file: sqlite3 FILE '
              + '"PRAGMA integrity_check". If it is damaged, put a backup in '
              + 'its place.',
    },
    database_replaced: {
        title: 'Another database file is used now',
        bad: false,
        means: 'The file was replaced while nginx ran. Unless it is a whole '
               + 'copy, ids begin anew, and all clients were told to '
               + 'reconnect.',
        todo: 'Nothing, if you have put a backup back. Otherwise find out who '
              + 'moves files there.',
    },
    worker_died: {
        title: 'A worker died',
        bad: true,
        means: 'Its connections were cut, and their clients come back by '
               + 'themselves. What was stored is there.',
        todo: 'The error log has how it ended. Signal 9 was an operator or '
              + 'the system being out of memory. Signal 6, 7 or 11 is a bug, '
              + 'of this or another module: report it with the log.',
    },
    registry_wiped: {
        title: 'Shared memory was cleared',
        bad: true,
        means: 'A worker died in the midst of a change. All clients were told '
               + 'to reconnect; cached events and some idempotency keys are '
               + 'gone.',
        todo: 'As for a worker that died.',
    },
    zone_full: {
        title: 'An app had no more shared memory',
        bad: true,
        means: 'Subscriptions, members or sessions were refused. Other apps '
               + 'have their own share.',
        todo: 'A larger chat_zone (it needs a restart), or a smaller '
              + 'channels_per_connection or max_connections of the app. The '
              + 'page Apps shows who holds what.',
    },
    ring_overrun: {
        title: 'A worker fell too far behind',
        bad: true,
        means: 'More events came than it could deliver, and the oldest were '
               + 'written over. Its clients were told to reconnect.',
        todo: 'A larger chat_zone keeps more. If it happens again, more '
              + 'workers, or less to deliver; a worker that was stopped falls '
              + 'behind, too.',
    },
    slow_client: {
        title: 'A client did not read',
        bad: false,
        means: 'More than chat_send_buffer waited for it, so it was told to '
               + 'reconnect. Nobody else waited.',
        todo: 'Nothing, if it is rare: phones without a network. If there are '
              + 'many, a larger chat_send_buffer, or fewer events.',
    },
    store_queue_full: {
        title: 'Too many messages waited to be stored',
        bad: true,
        means: 'POSTs were refused with 503, since commits were slower than '
               + 'messages came.',
        todo: 'Look at the commit time. A faster disk; sync=normal, which '
              + 'may lose the last messages in a power cut; or a limit_req '
              + 'for who sends so much.',
    },
    thread_pool: {
        title: 'nginx’s thread pool was full',
        bad: true,
        means: 'Messages or pages of history were refused with 503.',
        todo: 'A larger max_queue in thread_pool, or more threads. Look also '
              + 'at what else uses the pool (aio threads).',
    },
    webhook_failed: {
        title: 'A webhook did not answer as it should',
        bad: false,
        means: 'Its events wait, and are sent again until the time of retry '
               + 'is over.',
        todo: 'The page Webhooks says which one, and what may be wrong with '
              + 'the server that it names.',
    },
    webhook_dead: {
        title: 'Events of a webhook were given up',
        bad: true,
        means: 'It has failed for as long as retry says. They are kept, and '
               + 'not sent any more by themselves.',
        todo: 'Mend the server that the webhook names, then have them sent '
              + 'again on the page Webhooks.',
    },
    cluster_out: {
        title: 'The node was not in its cluster',
        bad: true,
        means: 'What was posted here was refused, and so was history. After '
               + 'isolate its clients are sent to the other nodes. It comes '
               + 'back by itself.',
        todo: 'Look whether Redis answers, from this machine and with this '
              + 'configuration: its words, or the system’s, are above.',
        cases: [
            [/no other node gives/, 'Start a node that has all messages: it '
                     + 'gives this one what it lacks. Or begin here with a '
                     + 'copy of its database.'],
            [/go back far enough/, 'Stop this node, and start it without a '
                     + 'database, or with a copy of another one’s.'],
            [/other entries than this node/, 'This node has messages that '
                     + 'are not the cluster’s. Stop it, and start it without '
                     + 'a database, or with a copy of another one’s.'],
            [/of another cluster|messages of its own/, 'This database does '
                     + 'not belong to this cluster. Begin without a database, '
                     + 'or with a copy of another node’s, or use another '
                     + 'prefix.'],
            [/NOAUTH|WRONGPASS|NOPERM/, 'Look at the user in the URL, at '
                     + 'chat_cluster_password, and at the user’s ACL.'],
            [/SSL|certificate/i, 'Redis’ certificate must have the name in '
                     + 'the URL, and be of an authority that '
                     + 'chat_cluster_trusted_certificate has.'],
        ],
    },
    cluster_lost: {
        title: 'Redis has lost the end of the cluster’s log',
        bad: true,
        means: 'A new term has begun behind what this node has seen. All '
               + 'clients were told to reconnect, and nodes give the log '
               + 'again what they have.',
        todo: 'Redis keeps all with appendonly yes and appendfsync always; at '
              + 'a fail-over with replicas=1 of chat_cluster.',
    },
    cluster_trimmed: {
        title: 'The cluster’s log does not go back far enough',
        bad: false,
        means: 'This node was away for too long, or has begun without a '
               + 'database. Another node gives it the messages that it lacks, '
               + 'and its clients are told to reconnect when it has them.',
        todo: 'With a larger keep of chat_cluster nodes may be away for '
              + 'longer. Where it stays out, the page Nodes says why.',
    },
    loop_stall: {
        title: 'An event loop stood still',
        bad: false,
        means: 'For that long a worker served nobody, whichever module took '
               + 'the time.',
        todo: 'Slow disks without aio, other modules and scripts, or a '
              + 'machine with too much to do. Overview shows which worker.',
    },
};


export const UNKNOWN = {
    bad: false,
    means: 'This page does not know this kind of incident; the server is '
           + 'newer.',
    todo: 'Look into the error log. Reload this page, if nginx was updated '
          + 'meanwhile.',
};
