# Promise 1 for triggered events: a worker is killed while it stores and sends
# what goes to several channels at a time.  Of each trigger all is stored or
# nothing; what was answered is stored; what is stored is sent, once, in the
# order of ids, and nothing else.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Chat::API;
use Chat::HTTP qw(from_json json_bytes);
use Chat::Pusher qw(subscribe_to);
use Chat::Server qw(wait_for);

use constant { ROUNDS => 10, TRIGGERS => 100 };

my @channels = map { "stored-$_" } 'a' .. 'd';
my $t = Chat::Pusher->new(workers => 2, app => 'store stored-*;',
                          more => <<'END_OF_MORE');
        location /apps/ { chat_api; }
        location = /history { chat_history $http_x_channel app=17536051; }
END_OF_MORE

my $seed = defined $ENV{CHAT_SEED} ? $ENV{CHAT_SEED} : time() ^ $$ << 8;
srand($seed);
diag("CHAT_SEED=$seed");

my %last = map { $_ => 0 } @channels;


sub event {
    return { name => 'e', data => "$_[0]", channels => \@channels };
}


# What a channel has got since the last time.

sub news {
    my ($channel) = @_;

    my $http = Chat::HTTP->new(port => $t->port);
    my $res = $http->get("/history?after=$last{$channel}&limit=1000",
                         { 'X-Channel' => $channel });
    my $all = from_json($res->{body});

    $last{$channel} = $all->[-1]{id} if @$all;

    return @$all;
}


sub start {
    my ($api, $name) = @_;

    $api->http->send_raw(join '', map {
        $api->request_bytes('POST', 'events',
                            body => json_bytes(event("$name-$_")))
    } 1 .. TRIGGERS);
}


# Reads up to so many answers: { data => ids by channel }.

sub answers {
    my ($api, $name, $from, $to) = @_;

    my %ids;

    for ($from .. $to) {
        my $res = $api->http->read_response('POST');

        last if !$res->{status};
        die "$res->{status} $res->{body}" if $res->{status} != 200;

        my $by = from_json($res->{body})->{channels};
        $ids{"$name-$_"} = { map { $_ => $by->{$_}{id} } @channels };
    }

    return %ids;
}


for my $round (1 .. ROUNDS) {
    my ($dying, $other) = Chat::API->spread($t);
    my $pid = $dying->get('channels')->{headers}{'x-worker'};
    my $ws = $t->ws;

    $ws = $t->ws while $ws->header('X-Worker') == $pid;
    subscribe_to($ws, $_) for @channels;

    start($dying, "$round-dying");
    start($other, "$round-other");

    my $some = int rand TRIGGERS / 2;
    my %ids = answers($dying, "$round-dying", 1, $some);

    $t->kill_worker($pid);
    %ids = (%ids, answers($dying, "$round-dying", $some + 1, TRIGGERS),
            answers($other, "$round-other", 1, TRIGGERS));

    # the next writer sends what the dead one has left
    my $res = $other->trigger(event("$round-last"));
    is($res->{status}, 200, "round $round: triggers go on");

    my (%of, %heard);

    $of{$_} = [ news($_) ] for @channels;

    my $texts = join ' ', map { $_->{data} } @{$of{ $channels[0] }};

    for my $c (@channels) {
        my %id = map { $_->{data} => $_->{id} } @{$of{$c}};

        is(join(' ', map { $_->{data} } @{$of{$c}}), $texts,
           "round $round, $c: all of a trigger, or nothing");
        is(join(' ', grep { ($id{$_} || 0) != $ids{$_}{$c} } keys %ids), '',
           "round $round, $c: what was answered is stored");
    }

    my $n = @channels * @{$of{ $channels[0] }};

    my $away;

    for (1 .. $n) {
        my $e = $ws->next_event;
        last unless defined $e->{event};
        $away = $e->{data}{code}, last if $e->{event} eq 'pusher:error';
        push @{$heard{$e->{channel}}}, $e->{data};
    }

    if ($t->server->had_lock($pid)) {
        is($away, 4200, "round $round: it died with the lock, all come back");
        is(index("$texts ", join('', map { "$_ " } @{ $heard{$_} || [] })), 0,
           "round $round, $_: what is stored was sent, in order")
            for @channels;

    } else {
        is(join(' ', @{ $heard{$_} || [] }), $texts,
           "round $round, $_: what is stored is sent, in order")
            for @channels;
        $t->nothing("round $round: once, and nothing else", $ws);
    }

    cmp_ok(scalar keys %ids, '>=', TRIGGERS, 'the other worker goes on');
    ok(wait_for(10, sub { $t->server->worker_pids == 2 }),
       "round $round: two workers again");
    $away ? $ws->disconnect : $t->close_all($ws);
}

$t->finish;

done_testing();
