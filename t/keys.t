# Idempotency-Key of messages: the key is in the database with the message, so
# it holds as long as is promised, whatever happens to nginx and however many
# there are.
#
# Two workers die at failpoints, in a build of its own (see
# ngx_chat_module/wire/ngx_chat_failpoint.h).

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Chat::API qw(is_ok);
use Chat::Failpoints qw(arm prepare);
use Chat::HTTP qw(from_json json_bytes);
use Chat::Locker;
use Chat::Pusher qw(subscribe_to);
use Chat::Server qw(wait_for);

use constant { CONNECTIONS => 50, EACH => 100 };

prepare();

# a zone that has no room for so many answers
my $t = Chat::Pusher->new(workers => 2, zone => '1m',
                          main => 'env CHAT_FAILPOINTS;',
                          more => <<'END_OF_MORE');
        location = /messages {
            chat_history room app=17536051;
            chat_publish room news app=17536051;
        }

        location /apps/ { chat_api; }
END_OF_MORE
my $server = $t->server;
my $serial = 0;


sub connection { return Chat::HTTP->new(port => $t->port) }


# A connection with each worker.

sub both {
    my %http;

    for (1 .. 1000) {
        my $http = connection();

        $http{ $http->get('/chat_status')->{headers}{'x-worker'} } ||= $http;
        return @http{ sort keys %http } if keys %http == 2;
    }

    die 'only one worker answers';
}


sub with_worker {
    my ($pid) = @_;

    for (1 .. 1000) {
        my $http = connection();

        return $http
            if $http->get('/chat_status')->{headers}{'x-worker'} == $pid;
    }

    die "no connection with worker $pid";
}


sub fresh { return sprintf 'key %06d', ++$serial }


sub request {
    my ($key) = @_;

    return Chat::HTTP->format_request('POST', '/messages',
        { 'Content-Type' => 'application/json', 'Idempotency-Key' => $key },
        json_bytes({ content => "of $key" }));
}


# Returns the answer's body, if it is a 201.

sub answer {
    my ($http) = @_;

    my $res = $http->read_response('POST');

    return $res->{status} == 201 ? $res->{body} : "status $res->{status}";
}


sub post {
    my ($key, $http) = @_;

    $http ||= connection();
    $http->send_raw(request($key));

    return answer($http);
}


sub stored {
    return $server->sqlite('SELECT count(*) FROM messages'
                           . " WHERE content = 'of $_[0]'");
}


# The same answer, and nothing was stored again.

sub is_known {
    my ($key, $body, $name, @http) = @_;

    like($body, qr/^\{"id":\d+,"content":"of $key"/, "$name: an answer");
    is(post($key, $_), $body, "$name: the same again")
        for @http ? @http : undef;
    is(stored($key), 1, "$name: stored once");
}


my %body;

subtest '5,000 keys' => sub {
    my $first = $body{first} = fresh();
    my @http = map { connection() } 1 .. CONNECTIONS;
    my %bad;

    $body{$first} = post($first);

    $_->send_raw(join '', map { request(fresh()) } 1 .. EACH) for @http;

    for my $http (@http) {
        for (1 .. EACH) {
            my $body = answer($http);
            $bad{$body}++ unless $body =~ /^\{"id":\d/;
        }
    }

    is_deeply(\%bad, {}, 'all are stored');
    is($server->sqlite('SELECT count(*) FROM messages'), CONNECTIONS * EACH + 1,
       'each once');

    is_known($first, $body{$first}, 'the first', both());
};


subtest 'whatever happens to nginx' => sub {
    my $key = $body{first};

    my ($pid) = $server->worker_pids;
    $t->kill_worker($pid);
    undef $t->{http};               # nothing of it is left open
    is_known($key, $body{$key}, 'a killed worker', both());

    my @old = $server->worker_pids;
    $server->reload;
    is_known($key, $body{$key}, 'a reload', both());
    ok(wait_for(20, sub { !grep { Chat::Server::is_alive($_) } @old }),
       'the old workers are gone');

    $server->restart;
    is_known($key, $body{$key}, 'a restart', both());

    $server->kill_all;
    $server->start;
    is_known($key, $body{$key}, 'all are killed', both());

    $t->{http} = connection();
};


# The answer was lost, and shared memory knows nothing of it.

subtest 'a worker that dies behind the commit' => sub {
    my $key = fresh();
    my ($one, $other) = both();
    my ($victim) = map { $_->get('/chat_status')->{headers}{'x-worker'} } $one;
    my $ws = $t->ws;

    $ws = $t->ws while $ws->header('X-Worker') == $victim;
    subscribe_to($ws, 'room');

    arm('committed', 1);
    $server->expect_killed($victim, 9);
    is(post($key, $one), 'status 0', 'no answer');
    is(stored($key), 1, 'it is stored');

    my $body = post($key, $other);
    is_known($key, $body, 'then', $other);
    is($ws->next_event->{data}, $body, 'sent');
    $t->{http} = connection();
    $t->nothing('once', $ws);
};


# The key of a trigger that is not stored waits for its worker, and no longer.

subtest 'a worker that dies while it triggers' => sub {
    my ($one, $other) = map { Chat::API->new(http => $_) } both();
    my $event = { name => 'e', channel => 'plain', data => 'd',
                  idempotency_key => fresh() };
    my $victim = $one->get('channels')->{headers}{'x-worker'};
    my $ws = $t->ws;

    $ws = $t->ws while $ws->header('X-Worker') == $victim;
    subscribe_to($ws, 'plain');

    arm('published', 1);
    $server->expect_killed($victim, 9);
    is($one->trigger($event)->{status}, 0, 'no answer');
    is($ws->next_event->{channel}, 'plain', 'it was sent');

    my $res;
    ok(wait_for(20, sub {
        $res = $other->trigger($event);
        return $res->{status} != 409;
    }), 'when the dead worker is cleared up after, the key is free');
    is_ok($res, {}, 'then');
    is_ok($other->trigger($event), {}, 'which counts for ten minutes');
    is($ws->next_event->{channel}, 'plain', 'it was sent again');
    $t->{http} = connection();
    $t->nothing('once', $ws);
};


my $locker = Chat::Locker->new($server->database);

subtest 'at one time' => sub {
    my $key = fresh();
    my ($one, $other) = both();
    my $pid = $one->get('/chat_status')->{headers}{'x-worker'};
    my @twins = map { with_worker($pid) } 1 .. 3;
    my $ws = $t->ws;

    subscribe_to($ws, 'room');
    $locker->lock;

    # the first is in a batch, the others are in the next, and elsewhere
    $_->send_raw(request($key)) for $one, @twins, $other;
    ok(wait_for(10, sub { $t->status->{store}{queued} == 5 }), 'all wait');
    $locker->unlock;

    my $body = answer($one);
    is(answer($_), $body, 'one answer') for @twins, $other;
    is_known($key, $body, 'then');
    is($ws->next_event->{data}, $body, 'sent');
    $t->nothing('once', $ws);
};


subtest 'what was not stored has no key' => sub {
    my $key = fresh();
    my @http = both();

    $locker->lock;
    $_->send_raw(request($key)) for @http;

    is($_->read_response('POST', 60)->{status}, 503, 'locked for too long')
        for @http;
    $locker->unlock;

    is(stored($key), 0, 'not stored');
    is_known($key, post($key), 'then');
};


is($locker->finish, 0, 'sqlite3 ended well');


subtest 'the message has gone' => sub {
    my $key = fresh();
    my $body = post($key);

    $server->sqlite("DELETE FROM messages WHERE content = 'of $key'");
    is(post($key), $body, 'it was stored: the same answer, the last of all');

    my $next = post(fresh());

    is(post($key), $body, 'the same answer, with others behind it');
    is(stored($key), 0, 'it is not stored again');
    cmp_ok(from_json($next)->{id}, '>', from_json($body)->{id}, 'ids go on');
};


# The clock can't be put on: keys are made older.

subtest 'ten minutes' => sub {
    my $key = fresh();
    my $body = post($key);

    $server->sqlite('UPDATE keys SET created_at = created_at - 500000');
    is(from_json(post($key))->{id}, from_json($body)->{id}, 'before they end');

    $server->sqlite('UPDATE keys SET created_at = created_at - 101000');
    my $new = post($key);
    cmp_ok(from_json($new)->{id}, '>', from_json($body)->{id}, 'then anew');
    is(post($key), $new, 'which is known from now on');
    is(stored($key), 2, 'stored anew');

    ok(wait_for(30, sub { $server->sqlite('SELECT count(*) FROM keys') == 1 }),
       'all older keys are removed');

    $server->sqlite('INSERT INTO keys WITH RECURSIVE n (i) AS (SELECT 1'
           . ' UNION ALL SELECT i + 1 FROM n WHERE i < 3000)'
           . ' SELECT -i, randomblob(16), 0 FROM n');

    ok(wait_for(30, sub { $server->sqlite('SELECT count(*) FROM keys') == 1 }),
       'a great many, too');
    is(post($key), $new, 'and no other');
};


$t->finish;
done_testing();
