# The HTTP fallback on several workers: reloads, killed workers, the end of
# nginx.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Chat::Fallback;
use Chat::HTTP;
use Chat::Pusher qw(subscribe_to is_event);
use Chat::Server qw(wait_for);
use Chat::Token qw(fresh_token is_new is_recovered);

my $t = Chat::Pusher->new(workers => 4, http => 'chat_drain 1s;',
    more => 'location /pusher/ { chat_fallback; }');

sub client { return Chat::Fallback->established(port => $t->port, @_) }


# A client that is the only one, and the worker that its session lives in.

sub owned {
    wait_for(20, sub { !$t->status->{connections} })
        or die 'somebody does not leave';

    my $c = client(@_);
    my ($owner) = grep { $_->{connections} } @{ $t->status->{per_worker} };

    return ($c, $owner->{pid});
}


subtest 'the worker of a stream is killed' => sub {
    my ($c, $worker, $owner, $first);

    # of another worker than the session's: the first one of a session is not

    for (1 .. 100) {
        ($c, $owner) = owned();
        $first = $c->{http};
        $c->receive;
        is($c->rest_of($first), "0\r\n\r\n", 'another stream takes over');
        $c->send_list([]);
        is($c->next_line, 'h', 'and goes on');
        ($worker) = $c->{head} =~ /^X-Worker: (\d+)/m;
        last if $worker != $owner;
        $_->close for $first, $c->{http};
    }

    $t->kill_worker($worker);
    ok(!defined $c->next_line && $c->{ended}, 'the answer ends');
    ok(wait_for(10, sub { $c->send_list([])->{status} == 404 }),
       'and so does the session, which is no use any more');
    $c->disconnect;
};


subtest 'P114: the worker of a session is killed' => sub {
    for my $polling (0, 1) {
        my ($c, $owner) = owned(polling => $polling);

        $t->kill_worker($owner);

        if (!$polling) {
            ok(!defined $c->next_line && $c->{ended}, 'the answer ends');
        }

        ok(wait_for(10, sub { $c->send_list([])->{status} == 404 }),
           'F6: 404 for its messages');

        $c->receive;
        is($c->next_line, 'o', 'P114: and o for the next request');
        $c->disconnect;
    }
};


subtest 'every request on another worker' => sub {
    my $c = client(polling => 1);

    subscribe_to($c, 'room');

    for my $n (1 .. 40) {
        my $data = $t->publish('room', "message $n");

        is_event($c->next_event, 'news', 'room', $data, "message $n");
        is($c->send_list([])->{status}, 204, 'and it may speak');
    }

    is(keys %{ $c->{workers} }, 4, 'on all of the workers');
    $c->disconnect;
};


subtest 'a reload' => sub {
    my $token = fresh_token();
    my @all = map { client(polling => $_ % 2, token => $token . $_) } 0 .. 3;

    is_new($_, 'room', 'first') for @all;

    my $data = $t->publish('room', 'before');
    is_event($_->next_event, 'news', 'room', $data, 'before') for @all;

    my @old = $t->server->worker_pids;

    $t->server->reload;
    $t->{http} = Chat::HTTP->new(port => $t->port);

    # each is asked once more what it has, and sent away

    for my $c (@all) {
        my $e;

        do {
            $e = $c->next_event;
            $c->send_event({ event => 'pusher:pong', data => {} })
                if ($e->{event} || '') eq 'pusher:ping';
        } while (($e->{event} || '') eq 'pusher:ping');

        is($e->{event}, 'pusher:error', 'told');
        is($e->{data}{code}, 4200, 'to reconnect');
        is($c->next_event->{close}, 4200, 'F3: and closed');

        if (!$c->{polling}) {
            ok(!defined $c->next_line && $c->{ended} eq 'whole',
               'in good order');
        }
    }

    my $missed = $t->publish('room', 'meanwhile');
    my @back = map { client(polling => $_ % 2, token => $token . $_) } 0 .. 3;

    is_recovered($_, 'room', [ $missed ], 'R19: nothing is lost or doubled')
        for @back;

    ok(wait_for(15, sub { !grep { Chat::Server::is_alive($_) } @old }),
       'the old workers leave');
    $_->disconnect for @back;
};


subtest 'P114: a restart' => sub {
    my @all = map { client(polling => $_) } 0, 1;

    subscribe_to($_, 'room') for @all;

    $t->server->restart;
    $t->{http} = Chat::HTTP->new(port => $t->port);

    for my $c (@all) {
        is($c->send_list([])->{status}, 404, 'F6: 404 for its messages');

        $c->{lines} = '';
        $c->receive;
        is($c->next_line, 'o', 'F4, P114: o for the next request');
        is($c->next_event->{event}, 'pusher:connection_established',
           'and it is another session');
        subscribe_to($c, 'room');
        $c->disconnect;
    }
};


$t->finish;
done_testing();
