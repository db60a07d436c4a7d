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
use Chat::Server qw(APP_ID APP_KEY APP_SECRET wait_for);
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


# Takes what comes until all connections have ended: the close code of each, as
# one text.  $cb->() is called, between two reads, where a close has come.

sub closes {
    my ($seconds, $ws, $cb) = @_;

    my (%code, %ended, $came);

    read_all($seconds, $ws, sub {
        my ($ws, $f) = @_;

        if ($f->[0] eq 'eof') {
            $ended{$ws} = 1;

        } elsif ($f->[0] == CLOSE) {
            $came = 1;
            $code{$ws} = unpack 'n', $f->[1];
            eval { $ws->send_close($code{$ws}) };

        } elsif ($f->[1] =~ /"new_message"/) {
            $ws->{heard}++;
        }
    }, sub {
        $cb->() if $cb && $came;
        $came = 0;

        return keys %ended >= @$ws;
    });

    my %n;

    $n{ defined $code{$_} ? $code{$_} : 'none' }++ for @$ws;

    return join ' ', map { "$n{$_} x $_" } sort keys %n;
}


# A worker sends its clients away in groups, one every 0.25 s, each in one turn
# of its event loop, so that no message can come in between.  One is posted when
# some have gone: only who went later has it.  How many groups are told apart,
# and the seconds until all have gone.

sub groups {
    my ($drain) = @_;

    my $server = Chat::Server->new(workers => 1, http => "chat_drain $drain;")
                             ->start;
    my @ws = clients($server, CLIENTS);
    my $start = time();

    $server->reload;

    my $http = Chat::HTTP->new(port => $server->port);
    my $codes = closes(100, \@ws, sub {
        my $res = $http->post('/messages', { content => 'some have gone' });

        die "POST: $res->{status}" if $res->{status} != 201;
    });
    my $seconds = time() - $start;

    is($codes, CLIENTS . ' x 4200', "chat_drain $drain: 4200");
    ok(wait_for(15, sub { my @pids = $server->all_worker_pids; @pids == 1 }),
       'the old worker is gone');
    $server->finish;

    my %heard = map { ($_->{heard} || 0) => 1 } @ws;

    return (scalar keys %heard, $seconds);
}


subtest 'chat_drain' => sub {
    my ($n) = groups('0');

    is($n, 1, 'all at one time: nothing comes in between');

    ($n) = groups('1s');
    cmp_ok($n, '<=', 4, 'within 1 s there are four groups at most');

    # more than the 5 s that are the default
    ($n, my $seconds) = groups('8s');
    cmp_ok($n, '>', 1, 'one group after the other');
    cmp_ok($n, '<=', 32, 'within 8 s 32 at most');
    cmp_ok($seconds, '>', 7.5, 'the last one not before its time');
};


subtest 'worker_shutdown_timeout is shorter' => sub {
    my $server = Chat::Server->new(workers => 1, http => 'chat_drain 60s;',
                                   main => 'worker_shutdown_timeout 6s;');
    my ($rc, $out) = $server->check_conf;

    is($rc, 0, 'nginx -t takes it');
    like($out, qr/\[warn\] "chat_drain" of 60000ms does not fit .* 4500ms/,
         'and warns');

    $server->start;

    my @ws = clients($server, CLIENTS);

    $server->reload;

    is(closes(100, \@ws), CLIENTS . ' x 4200',
       'nobody is cut off without 4200');
    ok(wait_for(15, sub { my @pids = $server->all_worker_pids; @pids == 1 }),
       'the old worker is gone');
    $server->finish;

    $server = Chat::Server->new(main => 'worker_shutdown_timeout 6s;');
    ($rc, $out) = $server->check_conf;
    is($rc, 0, 'the default fits in silence');
    unlike($out, qr/\[warn\].*chat_drain/, 'no warning');
    $server->finish;
};


# Over chat_drain it would take an hour.

subtest 'SIGTERM' => sub {
    my $server = Chat::Server->new(workers => 2, tls => 1,
                                   http => 'chat_drain 1h;')->start;
    my @ws = clients($server, CLIENTS);

    push @ws, map {
        Chat::WebSocket->established(port => $server->tls_port, tls => 1)
    } 1 .. 3;

    ok($server->terminate(60), 'nginx ends');
    is(closes(60, \@ws), CLIENTS + 3 . ' x 4200', 'each was told 4200');
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

        is(closes(100, \@ws), '4 x 4200', 'the old ones are sent away');
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

    is(closes(100, [ $old ]), '1 x 4200', "the removed app's client leaves");
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
