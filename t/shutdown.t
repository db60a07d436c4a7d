# How workers leave: chat_drain and worker_shutdown_timeout, SIGTERM, SIGQUIT
# with POSTs in flight; and reloads that change what is configured.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Socket::INET;
use Test::More;
use Time::HiRes qw(time);

use Chat::HTTP qw(from_json json_bytes);
use Chat::Locker;
use Chat::Pusher qw(send_subscribe);
use Chat::Server qw(APP_ID APP_KEY APP_SECRET SCALE wait_for);
use Chat::WebSocket qw(TEXT CLOSE read_all);

use constant CLIENTS => 40;


sub clients {
    my ($server, $n) = @_;

    return map {
        my $ws = Chat::WebSocket->established(port => $server->port);
        $ws->subscribe('chat');
        $ws;
    } 1 .. $n;
}


# The close code of each, and seconds from the first to the last.

sub closes {
    my ($seconds, @ws) = @_;

    my (%code, %at, %ended);

    read_all($seconds, \@ws, sub {
        my ($ws, $f) = @_;

        if ($f->[0] eq 'eof') {
            $ended{$ws} = 1;

        } elsif ($f->[0] == CLOSE) {
            $code{$ws} = unpack 'n', $f->[1];
            $at{$ws} = time();
            eval { $ws->send_close($code{$ws}) };
        }
    }, sub { keys %ended >= @ws });

    my @times = sort { $a <=> $b } values %at;
    my %n;

    $n{ defined $code{$_} ? $code{$_} : 'none' }++ for @ws;

    return (join(' ', map { "$n{$_} x $_" } sort keys %n),
            @times ? $times[-1] - $times[0] : 0);
}


subtest 'chat_drain' => sub {
    my %time;

    for my $drain (1, 3) {
        my $server = Chat::Server->new(workers => 1,
                                       http => "chat_drain ${drain}s;")
                                 ->start;
        my @ws = clients($server, CLIENTS);

        $server->reload;

        my ($codes, $time) = closes(20, @ws);

        is($codes, CLIENTS . ' x 4200', "chat_drain ${drain}s: 4200");
        cmp_ok($time, '>', $drain * 0.6, 'over about that time');
        ok(wait_for(15, sub { my @pids = $server->all_worker_pids;
                              @pids == 1 }), 'the old worker is gone');
        $server->finish;
        $time{$drain} = $time;
    }

    cmp_ok($time{1}, '<', $time{3}, 'as it is configured');
};


subtest 'chat_drain 0' => sub {
    my $server = Chat::Server->new(workers => 1, http => 'chat_drain 0;')
                             ->start;
    my @ws = clients($server, CLIENTS);

    $server->reload;

    my ($codes, $time) = closes(20, @ws);

    is($codes, CLIENTS . ' x 4200', 'all at once');
    cmp_ok($time, '<', 2 * SCALE, 'at one time');
    ok(wait_for(15, sub { my @pids = $server->all_worker_pids; @pids == 1 }),
       'the old worker is gone');
    $server->finish;
};


subtest 'worker_shutdown_timeout is shorter' => sub {
    my $server = Chat::Server->new(workers => 1, http => 'chat_drain 60s;',
                                   main => 'worker_shutdown_timeout 2s;');
    my ($rc, $out) = $server->check_conf;

    is($rc, 0, 'nginx -t takes it');
    like($out, qr/\[warn\] "chat_drain" of 60000ms does not fit .* 1500ms/,
         'and warns');

    $server->start;

    my @ws = clients($server, CLIENTS);

    $server->reload;

    my ($codes) = closes(20, @ws);

    is($codes, CLIENTS . ' x 4200', 'nobody is cut off without 4200');
    ok(wait_for(15, sub { my @pids = $server->all_worker_pids; @pids == 1 }),
       'the old worker is gone');
    $server->finish;

    $server = Chat::Server->new(main => 'worker_shutdown_timeout 2s;');
    ($rc, $out) = $server->check_conf;
    is($rc, 0, 'the default fits in silence');
    unlike($out, qr/\[warn\].*chat_drain/, 'no warning');
    $server->finish;
};


subtest 'SIGTERM' => sub {
    my $server = Chat::Server->new(workers => 2, tls => 1)->start;
    my @ws = clients($server, CLIENTS);

    push @ws, map {
        Chat::WebSocket->established(port => $server->tls_port, tls => 1)
    } 1 .. 3;

    my $start = time();

    kill 'TERM', $server->master_pid;

    my ($codes) = closes(20, @ws);

    is($codes, CLIENTS + 3 . ' x 4200', 'each is told 4200');
    ok($server->reap_master(10), 'and nginx ends');
    cmp_ok(time() - $start, '<', 4 * SCALE, 'at once');
    $server->finish;
};


subtest 'SIGQUIT finishes what is in flight' => sub {
    my $server = Chat::Server->new(workers => 2)->start;
    my $locker;

    is(Chat::HTTP->new(port => $server->port)
       ->post('/messages', { content => 'first' })->{status}, 201, 'a POST');

    $locker = Chat::Locker->new($server->database);
    $locker->lock;

    my @posts = map {
        my $http = Chat::HTTP->new(port => $server->port, timeout => 30);
        $http->send_raw(Chat::HTTP->format_request('POST', '/messages',
            { 'Content-Type' => 'application/json' },
            json_bytes({ content => "flight $_" })));
        $http;
    } 1 .. 50;

    # a GET on each worker's own connection is behind the POSTs it accepted
    my $probe = Chat::HTTP->new(port => $server->port);

    $probe->get('/chat_status') for 1 .. 20;

    kill 'QUIT', $server->master_pid;
    ok(wait_for(10, sub {
           !IO::Socket::INET->new(PeerAddr => '127.0.0.1',
                                  PeerPort => $server->port)
       }), 'it listens no more');

    ok(!$server->reap_master(0.5), 'it waits for the store');
    $locker->unlock;

    my %n;
    my @answers = map { $_->read_response } @posts;

    $n{ $_->{status} }++ for @answers;
    is(join(' ', map { "$n{$_} x $_" } sort keys %n), '50 x 201',
       'all are answered');
    ok($server->reap_master(15), 'nginx ends');
    $locker->finish;

    $server->start;

    my $history = Chat::HTTP->new(port => $server->port)
                  ->history('/messages');

    is(scalar @$history, 51, 'all are stored, once');
    $server->finish;
};


# ---- what a reload changes

sub app {
    my ($id, $key, $secret, $more) = @_;

    return "chat_app $id { key $key; secret $secret; $more }\n";
}


sub fatal {
    my ($server, $key) = @_;

    my $ws = Chat::WebSocket->new(port => $server->port,
                                  path => "/app/$key?protocol=7");
    my $e = $ws->next_event;

    return $e->{event} eq 'pusher:error' ? $e->{data}{code} : 'established';
}


sub private {
    my ($server, $secret) = @_;

    my $ws = Chat::WebSocket->established(port => $server->port);

    send_subscribe($ws, 'private-a', secret => $secret);

    my $event = $ws->next_event->{event};

    $ws->disconnect;

    return $event;
}


# max_connections counts nobody any more.

sub nobody_left {
    my ($server) = @_;

    my $http = Chat::HTTP->new(port => $server->port);

    return wait_for(10, sub {
        from_json($http->get('/chat_status')->{body})->{connections} == 0
    });
}


subtest 'another number of workers' => sub {
    my $server = Chat::Server->new(workers => 2)->start;
    my $posted = 0;

    for my $n (4, 1, 3) {
        my @ws = clients($server, 4);

        $server->write_conf(workers => $n);
        $server->reload;

        my @fresh = clients($server, 6);
        my $res = Chat::HTTP->new(port => $server->port)
                  ->post('/messages', { content => "with $n" });

        is($res->{status}, 201, "$n workers: a POST");
        $posted++;

        for my $ws (@fresh) {
            is($ws->next_event->{data}, $res->{body}, 'reaches all');
        }

        is((closes(20, @ws))[0], '4 x 4200', 'the old ones are sent away');
        ok(wait_for(15, sub { my @pids = $server->all_worker_pids;
                              @pids == $n }), 'the old workers are gone');
    }

    is(scalar @{ Chat::HTTP->new(port => $server->port)
                 ->history('/messages') }, $posted, 'history has all');
    $server->finish;
};


subtest 'apps' => sub {
    my $server = Chat::Server->new(
        workers => 2, http => app(2, 'other', 'secret2', ''),
        locations => <<'END')->start;
        location = /messages {
            chat_history  chat app=17536051;
            chat_publish  chat new_message app=17536051;
        }

        location /app/ { chat_websocket; }
        location = /chat_status { chat_status; }
END

    is(private($server, APP_SECRET), 'pusher_internal:subscription_succeeded',
       'the secret is good');
    is(fatal($server, 'other'), 'established', 'the other app is there');

    my $old = Chat::WebSocket->established(port => $server->port,
                                           path => '/app/other?protocol=7');

    # a new secret, and the other app is gone
    my $conf = $server->default_conf;
    my $secret = APP_SECRET;

    $conf =~ s/secret \Q$secret\E;/secret a-new-one; max_connections 1;/;
    $conf =~ s/^\s*chat_app 2 .*$//m;
    $server->write_conf(conf => $conf);
    $server->reload;

    is((closes(20, $old))[0], '1 x 4200', "the removed app's client leaves");
    is(fatal($server, 'other'), 4001, 'and comes back to 4001');
    ok(wait_for(15, sub { my @pids = $server->all_worker_pids; @pids == 2 }),
       'the old workers are gone');

    is(private($server, APP_SECRET), 'pusher:error',
       'the old secret is good no more');
    ok(nobody_left($server), 'it has left');
    is(private($server, 'a-new-one'),
       'pusher_internal:subscription_succeeded', 'the new one is');

    ok(nobody_left($server), 'it has left');

    my $one = Chat::WebSocket->established(port => $server->port);

    is(fatal($server, APP_KEY), 4004, 'the new limit holds');
    $one->disconnect;

    # the app stays, and is disabled
    $conf =~ s/max_connections 1;/enabled off;/;
    $server->write_conf(conf => $conf);
    $server->reload;
    ok(wait_for(10, sub { fatal($server, APP_KEY) eq '4003' }),
       'a disabled app: 4003');
    ok(wait_for(15, sub { my @pids = $server->all_worker_pids; @pids == 2 }),
       'the old workers are gone');
    $server->finish;
};


done_testing();
