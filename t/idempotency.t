# Triggers that wait for the store while something happens: the database is
# locked, the client leaves, nginx is reloaded, the worker is killed.  What has
# an idempotency key is done once, and all who ask get the same answer.  keys.t
# has more of messages.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Chat::API qw(is_ok is_plain);
use Chat::HTTP qw(from_json json_bytes);
use Chat::Locker;
use Chat::Pusher qw(subscribe_to is_event);
use Chat::Server qw(wait_for);

my $t = Chat::Pusher->new(workers => 2, app => 'store stored-*;',
                          more => <<'END_OF_MORE');
        location /apps/ { chat_api; }
        location = /history { chat_history stored-1 app=17536051; }
        location = /by {
            chat_publish by news app=17536051;
            chat_author $http_x_author;
        }
END_OF_MORE
my ($api, $second) = spread();
my $twin = twin($api);
my $ws = $t->ws;
my $locker = Chat::Locker->new($t->server->database);
my $serial = 0;

subscribe_to($ws, $_) for 'stored-1', 'plain';


sub event { return { name => 'e', channel => 'stored-1', data => 'd', @_ } }


sub keyed {
    my $n = ++$serial;

    return event(data => "data $n", idempotency_key => "key $n", @_);
}


# Sends a trigger, whose answer has to wait.

sub start {
    my ($client, $event, $what) = @_;

    $client->http->send_raw($client->request_bytes('POST', $what || 'events',
                                                   body => json_bytes($event)));
}


sub worker_of { return $_[0]->get('channels')->{headers}{'x-worker'} }


# Another connection to the same worker, which takes what has come to it in
# that order.

sub twin {
    my ($client) = @_;

    for (1 .. 1000) {
        my $twin = Chat::API->new(port => $t->port);

        return $twin if worker_of($twin) == $client->{worker};
    }

    die 'no connection to the same worker';
}


sub spread {
    my @list = Chat::API->spread($t);

    $_->{worker} = worker_of($_) for @list;

    return @list;
}


# So many requests wait for the store.

sub are_waiting {
    my ($n, $name) = @_;

    ok(wait_for(10, sub { $t->status->{store}{queued} == $n }),
       "$name: $n wait");
}


# They get the same answer, which is returned.

sub same_answer {
    my ($name, @clients) = @_;

    my @res = map { $_->http->read_response('POST') } @clients;

    is(join(' ', map { $_->{status} } @res), join(' ', (200) x @res),
       "$name: answers");
    is(join("\n", map { $_->{body} } @res), join("\n", ($res[0]{body}) x @res),
       "$name: the same for all");

    return $res[0];
}


sub history {
    my $res = Chat::HTTP->new(port => $t->port)->get('/history?after=0');

    return from_json($res->{body});
}


# Stored and sent once; or stored for the nth time.

sub is_once {
    my ($event, $res, $name, $n) = @_;

    my @same = grep { $_->{data} eq $event->{data} } @{ history() };

    is(scalar @same, $n || 1, "$name: stored once");
    is(eval { from_json($res->{body})->{channels}{'stored-1'}{id} },
       $same[-1]{id}, "$name: its id was answered") or diag($res->{body});
    is_event($ws->next_event, 'e', 'stored-1', $event->{data}, "$name: sent");
    $t->nothing("$name: once", $ws);
}


subtest 'the database is locked for a while' => sub {
    my $event = keyed();

    $locker->lock;
    start($_, $event) for $api, $twin, $second;
    are_waiting(3, 'locked');

    my $other = Chat::API->new(port => $t->port);

    is_ok($other->trigger(event(channel => 'plain')), {},
          'what is not stored is answered');
    is_event($ws->next_event, 'e', 'plain', 'd', 'and sent at once');
    is_ok($other->get('channels/plain'), { occupied => JSON::PP::true() },
          'so are questions');

    $locker->unlock;

    my $res = same_answer('then', $api, $twin, $second);

    is_once($event, $res, 'then');
    is($second->trigger($event)->{body}, $res->{body}, 'the same answer');
    $t->nothing('for the same event', $ws);
};


subtest 'and for too long' => sub {
    my $event = keyed();
    my $batch = { batch => [ event(channel => 'plain', data => 'of it'),
                             event(channel => 'stored-1', data => 'of it') ],
                  idempotency_key => 'batch' };
    my $n = @{ history() };

    $locker->lock;
    start($api, $event);
    start($twin, $event);
    start($second, $batch, 'batch_events');

    for ($api, $twin, $second) {
        my $res = $_->http->read_response('POST', 60);

        is($res->{status}, 503, 'refused with 503') or diag($res->{body});
        like($res->{headers}{'retry-after'} || '', qr/^\d+$/, 'Retry-After');
        is($res->{headers}{'content-type'}, 'text/plain', 'plain text');
    }

    $locker->unlock;

    is(scalar @{ history() }, $n, 'nothing is stored');
    $t->nothing('nothing is sent, of the batch either', $ws);

    is_once($event, $second->trigger($event), 'the key is free again');

    my $res = $api->batch($batch);
    is($res->{status}, 200, "and the batch's");
    is(join(' ', sort map { $ws->next_event->{channel} } 1, 2),
       'plain stored-1', 'all of it is sent');
};


subtest 'the client leaves' => sub {
    my $event = keyed();
    my $leaving = twin($api);

    $locker->lock;
    start($leaving, $event);
    are_waiting(1, 'left');
    $leaving->http->close;
    start($second, $event);
    are_waiting(2, 'left');
    $locker->unlock;

    is_once($event, same_answer('who asks again', $second), 'left');
};


subtest 'HTTP headers' => sub {
    my $event = event(data => 'by header');
    my @key = (headers => { 'Idempotency-Key' => 'h' x 255 });
    my $res = $api->trigger($event, @key);

    is_once($event, $res, '255 bytes');
    is($second->trigger($event, @key)->{body}, $res->{body}, 'again');
    is_plain($api->trigger($event, headers => { 'Idempotency-Key' => $_ }),
             400, qr/\S/, length($_) . ' bytes') for 'h' x 256, '';

    # the member is the one that counts
    $event = keyed();
    $res = $api->trigger($event, @key);
    is_once($event, $res, 'with a member');
    $t->nothing('that is all', $ws);
};


subtest 'a key is its author\'s' => sub {
    my @of = map {
        $t->http->post('/by', { content => "of $_" },
                       { 'X-Author' => $_, 'Idempotency-Key' => '1' })
    } 'ann', 'bob', '', 'ann', 'bob', '';

    is(join(' ', map { $_->{status} } @of), join(' ', (201) x 6), 'all 201');
    is(join(' ', map { from_json($_->{body})->{content} } @of[0 .. 2]),
       'of ann of bob of ', 'each their own');
    is($of[$_ + 3]{body}, $of[$_]{body}, 'and the same again') for 0 .. 2;
};


subtest 'a reload' => sub {
    my $event = keyed();
    my @old = $t->server->worker_pids;

    $locker->lock;
    start($api, $event);
    are_waiting(1, 'before it');

    $t->server->reload;
    $t->{http} = Chat::HTTP->new(port => $t->port);
    my $new = Chat::API->new(port => $t->port);

    start($new, $event);
    are_waiting(2, 'after it');
    $locker->unlock;

    same_answer('old and new workers', $api, $new);
    is(scalar(grep { $_->{data} eq $event->{data} } @{ history() }), 1,
       'stored once');
    ok(wait_for(20, sub { !grep { Chat::Server::is_alive($_) } @old }),
       'the old workers are gone');
};


subtest 'a killed worker' => sub {
    ($api, $second) = spread();
    $ws = $t->ws;

    my $event = keyed();
    my $pid = $api->{worker};

    $ws = $t->ws while $ws->header('X-Worker') == $pid;
    subscribe_to($ws, 'stored-1');

    $locker->lock;
    start($api, $event);
    are_waiting(1, 'before');
    $t->kill_worker($pid);
    $locker->unlock;

    is($api->http->read_response('POST')->{status}, 0, 'no answer');
    is_once($event, $second->trigger($event), 'it was not stored before');
};


# Shared memory is another one then; the database has the keys of what it has.

subtest 'a restart' => sub {
    my @events = (keyed(), keyed(channels => [ 'plain', 'stored-1' ]));

    delete $events[1]{channel};

    my @body = map { $second->trigger($_)->{body} } @events;

    like($body[1], qr/^\{"channels":\{"plain":\{\},"stored-1":\{"id":\d+\}/,
         'one of two is stored');

    $t->server->restart;
    $t->{http} = Chat::HTTP->new(port => $t->port);
    $ws = $t->ws;
    subscribe_to($ws, $_) for 'stored-1', 'plain';

    my $n = @{ history() };

    for my $client (spread()) {
        is($client->trigger($events[$_])->{body}, $body[$_],
           'the same answer') for 0, 1;
    }

    is(scalar @{ history() }, $n, 'nothing is stored');
    $t->nothing('and nothing is sent', $ws);

    # what is stored on other channels has other ids to answer
    $second = Chat::API->new(port => $t->port);
    my $res = $second->trigger({ %{ $events[1] },
                                 channels => [ 'stored-1', 'stored-2' ] });
    is_once($events[1], $res, 'on other channels', 2);
};


is($locker->finish, 0, 'sqlite3 ended well');

$t->finish;

done_testing();
