# Webhooks and what happens to the database: full, locked by others; to shared
# memory: wiped; to nginx: told to quit, to end, to reload, while a
# receiver takes 3 s to answer.  Messages are taken meanwhile, or refused with
# their 503; other clients are served; and in the end all is told, and nothing
# twice but under the same id.
#
# Takes half a minute: a POST waits 10 s for a lock, and clients have as long to
# come back.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Time::HiRes qw(time);

use Chat::Failpoints qw(arm prepare);
use Chat::HTTP qw(from_json json_bytes);
use Chat::Locker;
use Chat::Pusher qw(subscribe_to join_presence client_event);
use Chat::Receiver;
use Chat::Server qw(wait_for);

my $events = 'events=channel_occupied,channel_vacated,member_added,'
             . 'member_removed,client_event,message_stored,connection_closed';


sub receiver {
    my ($name, %args) = @_;

    return Chat::Receiver->new(name => $name, %args);
}


sub start {
    my ($hooks, %args) = @_;

    return Chat::Pusher->new(workers => 2, %args,
                             app => "client_events on;\n$hooks");
}


# A message, and its id where it is taken.

sub post {
    my ($t, $channel, $content) = @_;

    my $res = $t->http->post('/publish', { content => $content },
                             { 'X-Channel' => $channel, 'X-Event' => 'news' });

    return ($res->{status},
            $res->{status} == 201 ? from_json($res->{body})->{id} : undef);
}


# The ids of messages that the receiver was told of.

sub stored {
    my ($r) = @_;

    return join ' ', map { $_->{message_id} }
                     grep { $_->{name} eq 'message_stored' } $r->events;
}


# Nobody who has nothing to do with the database waits for it.

sub is_served {
    my ($t, $ws, $name) = @_;

    my $http = Chat::HTTP->new(port => $t->port);

    is($http->get('/chat_status')->{status}, 200, "$name: others are served");
    ok($ws->nothing_waits, "$name: by WebSocket, too");
}


sub webhook_id { return Chat::Receiver::header($_[0], 'X-Chat-Webhook-Id') }


# A wipe takes 13 s until who does not come back is told to be gone, so this
# begins first and ends last.

my $wiped = receiver('wiped');
my ($wiped_t, @wiped_ws);

subtest 'shared memory is wiped' => sub {
    {
        local @ENV{qw(CHAT_MODULE CHAT_FAILPOINTS)};
        prepare();
        $wiped_t = start("webhook @{[$wiped->url]} $events;",
                         main => 'env CHAT_FAILPOINTS;');
    }

    my $server = $wiped_t->server;
    my @ws = map { $wiped_t->ws } 1 .. 3;

    subscribe_to($ws[0], 'a-gone');
    subscribe_to($ws[1], 'a-back');
    join_presence($ws[0], 'presence-a', 'gone');
    join_presence($ws[1], 'presence-a', 'back');
    $wiped->wait_texts(5);

    # who stores the next message is to die in the midst of the append
    $server->expect_killed($_, 9) for $server->worker_pids;
    arm('publish', 1);

    my $http = Chat::HTTP->new(port => $wiped_t->port);
    $http->send_raw($http->format_request('POST', '/publish',
        { 'Content-Type' => 'application/json', 'X-Channel' => 'a-back',
          'X-Event' => 'news' }, json_bytes({ content => 'in between' })));

    ok(wait_for(10, sub { $server->error_log =~ /shared memory was wiped/ }),
       'it is wiped');
    ok(wait_for(10, sub { 2 == $server->worker_pids }), 'two workers again');
    $server->{workers_seen} = [ $server->worker_pids ];
    $wiped_t->{http} = Chat::HTTP->new(port => $wiped_t->port);
    $_->disconnect for @ws;

    @wiped_ws = map { $wiped_t->ws } 1 .. 2;
    subscribe_to($wiped_ws[0], 'a-back');
    join_presence($wiped_ws[0], 'presence-a', 'back');
    join_presence($wiped_ws[1], 'presence-a', 'new');
    client_event($wiped_ws[1], 'presence-a', 'client-x', 'text');
    $wiped_t->publish('a-back', 'afterwards');

    ok(scalar $wiped->wait_texts(1, qr/client_event/), 'a client event');
    ok(wait_for(20, sub { stored($wiped) eq '1 2' }),
       'both messages that are stored') or diag(stored($wiped));
};


subtest 'the database is full' => sub {
    # dash counts in units of 512 bytes, bash in 1024: 1 or 2 MB
    my $r = receiver('full');
    my $t = start("webhook @{[$r->url]} $events;",
                  shell => "trap '' XFSZ\nulimit -S -f 2048");
    my $server = $t->server;
    my ($ann, $bob, $other) = map { $t->ws } 1 .. 3;
    my ($refused, @ids) = (0);

    subscribe_to($ann, 'a-gone');
    join_presence($ann, 'presence-a', 'ann');
    join_presence($bob, 'presence-a', 'bob');
    $r->wait_texts(4);

    for my $n (1 .. 1000) {
        my ($status, $id) = post($t, 'chat', "$n " . 'x' x 10_000);

        $status == 201 ? push @ids, $id : $status == 503 ? $refused++ : last;
        last if $refused == 3;
    }

    is($refused, 3, 'messages are refused with 503');

    $ann->disconnect;
    client_event($bob, 'presence-a', 'client-x', 'while it is full');
    subscribe_to($other, 'a-new');
    is_served($t, $other, 'full');
    is((post($t, 'chat', 'x' x 10_000))[0], 503, 'it is full still');

    for my $pid ($server->master_pid, $server->worker_pids) {
        system('prlimit', '--pid', $pid, '--fsize=unlimited:unlimited') == 0
            or die "prlimit: $?";
    }

    ok(wait_for(10, sub {
        my ($status, $id) = post($t, 'chat', 'room again');

        push @ids, $id if $id;
        return $id;
    }), 'with room a message is taken');

    $r->wait_texts(1, qr/vacated a-gone/);
    ok(wait_for(20, sub { stored($r) eq "@ids" }),
       'all messages that got a 201 are told, in order, and no others')
        or diag('told ' . stored($r) . ", stored @ids");

    is_deeply([ $r->texts(qr/^(?:channel|member).*(?:a-gone|a-new|presence-a)/) ],
              [ 'channel_occupied a-gone', 'channel_occupied presence-a',
                'member_added presence-a ann', 'member_added presence-a bob',
                'channel_occupied a-new', 'channel_vacated a-gone',
                'member_removed presence-a ann' ],
              'and what has happened meanwhile');
    is_deeply([ $r->texts(qr/^client/) ],
              [ 'client_event presence-a bob client-x' ],
              'and what a client has sent');
    is($r->faults(qr/^channel|^member|^client/), '', 'nothing comes twice');
    ok(wait_for(10, sub {
           $t->sqlite('SELECT count(*) FROM webhook_events') eq '0'
       }), 'nothing is left');

    # nginx itself says so
    $server->expect_log(qr/failed .*\(27: File too large\)/);
    $t->finish;
};


subtest 'the database is locked for longer than a POST waits' => sub {
    my $r = receiver('locked');
    my $t = start("webhook @{[$r->url]} $events;");
    my ($ann, $bob, $other) = map { $t->ws } 1 .. 3;
    my $locker = Chat::Locker->new($t->server->database);

    subscribe_to($ann, 'a-gone');
    join_presence($bob, 'presence-a', 'bob');
    $r->wait_texts(3);
    $locker->lock;

    my @posts = map {
        my $http = Chat::HTTP->new(port => $t->port, timeout => 60);

        $http->send_raw($http->format_request('POST', '/publish',
            { 'Content-Type' => 'application/json', 'X-Channel' => 'a-post',
              'X-Event' => 'news' }, json_bytes({ content => "waits $_" })));
        $http;
    } 1 .. 3;

    my $closed = $ann->socket_id;
    $ann->disconnect;
    subscribe_to($bob, 'a-new');
    client_event($bob, 'presence-a', 'client-x', $_) for 1 .. 5;
    is_served($t, $other, 'locked');

    is($_->read_response('POST')->{status}, 503, '503 after 10 s') for @posts;
    is(scalar(() = $r->texts(qr/a-new|a-gone$/)), 1, 'nothing was told');
    $locker->unlock;

    is((post($t, 'a-post', 'after'))[0], 201, 'then a message is taken');
    is(scalar $r->wait_texts(1, qr/stored a-post/), 1, 'which is told');
    is(stored($r), 1, 'and no other');
    $r->wait_texts(1, qr/vacated a-gone/);
    is_deeply([ map { $_->{data} } grep { $_->{name} eq 'client_event' }
                $r->events ], [ 1 .. 5 ], 'the client events, in order');
    is_deeply([ $r->texts(qr/a-new|a-gone/) ], [ 'channel_occupied a-gone',
              'channel_occupied a-new', 'channel_vacated a-gone' ],
              'and channels');
    is_deeply([ map { $_->{socket_id} } grep { $_->{name} =~ /closed/ }
                $r->events ], [ $closed ], 'and connection_closed');
    is($r->faults(qr/channel|member/), '', 'nothing comes twice');
    is($locker->finish, 0, 'sqlite3 ended well');
    $t->finish;
};


# Requests that are under way when nginx leaves are cut off, and the next one
# sends them again.

sub leaves {
    my ($name, $how) = @_;

    my $r = receiver($name =~ s/\W/_/gr);
    my $t = start("webhook @{[$r->url]} $events;", http => "chat_drain 1s;\n");
    my $server = $t->server;
    my ($ws, $other) = map { $t->ws } 1 .. 2;
    my @sockets = map { $_->socket_id } $ws, $other;

    # the first batch is under way, and more wait
    $r->answer('ok-three');
    subscribe_to($ws, 'private-a');
    ok(wait_for(10, sub { $r->requests == 1 }), "$name: a request under way");
    $t->publish('a-post', 'stored');
    subscribe_to($ws, "a-$_") for 1 .. 50;
    subscribe_to($ws, 'private-b');
    client_event($ws, 'private-b', 'client-x', 'text');

    # it has been read where it waits in the database
    ok(wait_for(10, sub {
        $t->sqlite(q{SELECT count(*) FROM webhook_events WHERE event LIKE}
                   . q{ '%client-x%'}) eq '1'
    }), "$name: others wait");

    # where the first has been answered by now: one that has just begun
    my $cut_off;

    for my $n (1 .. 10) {
        my @requests = $r->requests;

        $cut_off = $requests[-1];
        last if time() - $cut_off->{time} < 1;

        subscribe_to($ws, "b-$n");
        wait_for(5, sub { $r->requests > @requests });
    }

    $r->answer(200) if $name !~ /reload/;
    $how->($t);
    $r->answer(200);

    $r->wait_texts(1, qr/client_event/);

    is_deeply([ $r->texts(qr/^channel_occupied a-/) ],
              [ map { "channel_occupied a-$_" } 1 .. 50 ],
              "$name: all are told, in order");
    is(stored($r), 1, "$name: the message, too");
    is($r->faults(qr/occupied|client/), '',
       "$name: nothing comes twice but under the same id");

    my @same = grep { webhook_id($_) eq webhook_id($cut_off) } $r->requests;
    cmp_ok(scalar @same, '>=', 2, "$name: what was cut off comes again");

    my $closed = sub {
        return sort map { $_->{socket_id} }
               grep { $_->{name} eq 'connection_closed' } $r->events;
    };

    if ($name =~ /QUIT|reload/) {
        wait_for(15, sub { @{[ $closed->() ]} == 2 });
        is_deeply([ $closed->() ], [ sort @sockets ],
                  "$name: and the end of each connection");
    }

    $t->finish;
}


leaves('SIGQUIT', sub {
    my ($t) = @_;

    # fails where nginx does not end
    $t->server->stop('QUIT');
    $t->server->start;
    $t->{http} = Chat::HTTP->new(port => $t->port);
});

leaves('SIGTERM', sub {
    my ($t) = @_;

    $t->server->restart;
    $t->{http} = Chat::HTTP->new(port => $t->port);
});

leaves('a reload', sub {
    my ($t) = @_;

    my $server = $t->server;
    $server->reload;
    ok(wait_for(30, sub { 2 == $server->all_worker_pids }),
       'a reload: the old workers leave');
});


subtest 'shared memory was wiped' => sub {
    $wiped->wait_texts(2, qr/^(?:channel_vacated|member_removed)/, 40);

    is_deeply([ sort $wiped->texts(qr/^(?:channel_vacated|member_removed)/) ],
              [ 'channel_vacated a-gone', 'member_removed presence-a gone' ],
              'who has not come back is told to be gone');
    is_deeply([ $wiped->texts(qr/a-back/) ],
              [ 'channel_occupied a-back', ('message_stored a-back news') x 2 ],
              'and the others are told once');
    is_deeply([ $wiped->texts(qr/presence-a/) ],
              [ 'channel_occupied presence-a', 'member_added presence-a gone',
                'member_added presence-a back', 'member_added presence-a new',
                'client_event presence-a new client-x',
                'member_removed presence-a gone' ], 'members, too');
    is($wiped->faults(qr/^channel|^member/), '', 'nothing comes twice');
    is($wiped_t->sqlite('SELECT channel, user FROM webhook_state'),
       join("\n", 'a-back|', 'presence-a|', 'presence-a|back',
            'presence-a|new'), 'the books are right');
    $wiped_t->finish;
};

done_testing();
