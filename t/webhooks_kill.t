#!/usr/bin/perl

# Webhooks whose sender dies: killed at each failpoint of its work.  Whoever
# goes on tells each event once, or again under the same id; and in order.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Chat::Failpoints qw(arm prepare);
use Chat::HTTP;
use Chat::Pusher qw(subscribe_to join_presence client_event);
use Chat::Receiver;
use Chat::Server qw(wait_for);


prepare();

my $r = Chat::Receiver->new;

my $t = Chat::Pusher->new(
    workers => 2,
    main    => 'env CHAT_FAILPOINTS;',
    app     => 'client_events on; webhook ' . $r->url
               . ' events=channel_occupied,channel_vacated,member_added,'
               . 'member_removed,client_event,message_stored;',
);

my $server = $t->server;
my %dead;


# A worker has died, be it one that has just started.

sub is_killed {
    my ($name) = @_;

    my @gone;

    ok(wait_for(20, sub {
        @gone = grep { !$dead{$_} }
                $server->error_log =~ /process (\d+) exited on signal 9/g;
    }), "$name: a worker died") or return;

    for my $pid (@gone) {
        $dead{$pid} = 1;
        $server->expect_killed($pid, 9);
    }

    arm();

    ok(wait_for(10, sub { $server->worker_pids == 2 }), "$name: replaced");
    $t->{http} = Chat::HTTP->new(port => $t->port);
}


my $n = 0;

for my $point ('hook commit', 'hook committed', 'hook noted', 'hook send',
               'hook answered', 'hook settle', 'hook census', 'hook leased')
{
    $r->forget;
    $n++;

    # one of them is with a worker that lives on
    my ($ws, $stay) = $t->spread(2);

    # these two are on the way of a new herald: another one has to die first
    if ($point =~ /census|leased/) {
        my ($herald) = $server->senders;
        arm($point, 1);
        $dead{$herald} = 1;
        $t->kill_worker($herald);

    } else {
        arm($point, 1);
    }

    # the client's own worker may be the one that dies
    eval {
        subscribe_to($ws, "room-$n");
        join_presence($ws, "presence-$n", 'ann');
        client_event($ws, "presence-$n", 'client-x', 'text');
    };

    # who comes back late was not away: the same member is still there
    eval {
        subscribe_to($stay, "room-$n");
        join_presence($stay, "presence-$n", 'ann');
    };

    is_killed($point);

    my $back = $t->ws;
    eval { subscribe_to($back, "room-$n") };
    eval { join_presence($back, "presence-$n", 'ann') };
    $stay->disconnect;
    $t->publish("room-$n", 'hello');

    my @texts = $r->wait_texts(1, qr/message_stored room-$n/);

    ok(scalar(@texts), "$point: what is stored is told");
    $r->wait_texts(1, qr/occupied room-$n/);
    $r->wait_texts(1, qr/member_added presence-$n/);

    is(scalar(@{[ $r->texts(qr/occupied room-$n$/) ]}), 1,
       "$point: occupied, once");
    is(scalar(@{[ $r->texts(qr/member_added presence-$n ann/) ]}), 1,
       "$point: added, once");

    $_->disconnect for $back, $ws;

    $r->wait_texts(1, qr/vacated room-$n$/);
    $r->wait_texts(1, qr/vacated presence-$n$/);
    my @all = $r->texts(qr/^(?!message|client).*-$n\b/);

    is_deeply([ grep { /room-$n$/ } @all ],
              [ "channel_occupied room-$n", "channel_vacated room-$n" ],
              "$point: a channel's life, in order");
    is_deeply([ grep { /presence-$n\b/ } @all ],
              [ "channel_occupied presence-$n", "member_added presence-$n ann",
                "member_removed presence-$n ann",
                "channel_vacated presence-$n" ],
              "$point: a member's life, in order");
    cmp_ok(scalar(@{[ $r->texts(qr/client_event presence-$n/) ]}), '<=', 1,
           "$point: a client event once at most");

    my %bodies;
    for my $req ($r->requests) {
        my $id = Chat::Receiver::header($req, 'X-Chat-Webhook-Id');
        $bodies{$id}{ $req->{body} } = 1;
    }
    is(scalar(grep { keys %$_ > 1 } values %bodies), 0,
       "$point: what has one id is the same");
}

is($t->sqlite('SELECT count(*) FROM webhook_state'), 0,
   'nothing is left in the books');

$t->finish;
$r->down;

done_testing();
