# A webhook that is added to an app which already has one: it is told alone
# what the other one knows, a part in each transaction, be the sender killed in
# between; and again where it was away for a while.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Chat::Failpoints qw(arm prepare);
use Chat::HTTP;
use Chat::Pusher qw(subscribe_to join_presence);
use Chat::Receiver;
use Chat::Server qw(wait_for);

use constant CHANNELS => 2200;         # more than two parts


prepare();

my %r = map { $_ => Chat::Receiver->new(name => $_) }
        qw(first added rooms);

my %conf = (
    first => 'webhook ' . $r{first}->url . ";\n",
    added => 'webhook ' . $r{added}->url . ";\n",
    rooms => 'webhook ' . $r{rooms}->url . " channels=room-*;\n",
);

my $any = "channels_per_connection 10000;\n";

my $t = Chat::Pusher->new(
    workers => 2,
    main    => 'env CHAT_FAILPOINTS;',
    app     => "$any$conf{first}",
    http    => 'chat_drain 30s;',
);

my $server = $t->server;


# The members, and the channels that the second one has.  Who was there before
# stays until all are there: nobody is away, be the machine busy.

my (%member, @before, @rooms);

sub come {
    push @before, values %member;

    for my $name (qw(ann bob)) {
        $member{$name} = $t->ws;
        join_presence($member{$name}, 'presence-a', $name);
    }

    $member{bob}->send_event({ event => 'pusher:subscribe',
                               data => { channel => $_ } }) for @rooms;

    for (@rooms) {
        die unless $member{bob}->next_event->{event} eq
            'pusher_internal:subscription_succeeded';
    }

    $_->disconnect for splice @before;
}


sub configure {
    my (@names) = @_;

    $server->write_conf(app => join '', $any, map { $conf{$_} } @names);
    $server->reload;
    $t->{http} = Chat::HTTP->new(port => $t->port);
    come();
}


# A receiver's events up to one that happens behind all: its channel is
# occupied last.

my $fences = 0;

sub up_to_fence {
    my ($name) = @_;

    my $channel = 'room-fence-' . ++$fences;
    my $ws = $t->ws;

    subscribe_to($ws, $channel);
    is(scalar $r{$name}->wait_texts(1, qr/occupied $channel/, 60), 1,
       "$name: up to $channel");
    $ws->disconnect;
    $r{$name}->wait_texts(1, qr/vacated $channel/, 60);

    return grep { !/fence/ } $r{$name}->texts;
}


@rooms = 'room-1';
come();

my @known = ('channel_occupied presence-a', 'member_added presence-a ann',
             'member_added presence-a bob', 'channel_occupied room-1');

is_deeply([ up_to_fence('first') ], \@known, 'the first one is told');
$r{first}->forget;

configure(qw(first added rooms));

is_deeply([ up_to_fence('added') ], \@known,
          'one that is added is told what the first one knows');
is_deeply([ up_to_fence('rooms') ], [ 'channel_occupied room-1' ],
          'another one what it wants of that');
is_deeply([ up_to_fence('first') ], [], 'and the first one nothing');

# one is away for a while
configure('first');
ok(wait_for(20, sub { $server->all_worker_pids == 2 }), 'the old have gone');
push @rooms, 'room-2';
subscribe_to($member{bob}, 'room-2');
up_to_fence('first');
$r{added}->forget;
configure(qw(first added));

my @more = (@known, 'channel_occupied room-2');

is_deeply([ up_to_fence('added') ], \@more,
          'one that was away is told all that is there');

# the sender is killed in between: who is there is told once, and no less
configure('first');

# those from before the reload still told it
ok(wait_for(20, sub { $server->all_worker_pids == 2 }), 'the old have gone');
$r{added}->forget;

push @rooms, map { "room-many-$_" } 1 .. CHANNELS;
come();
up_to_fence('first');
arm('hook newcomer', 2);
eval { configure(qw(first added)) };   # a client's worker may be the sender

my $killed;

ok(wait_for(20, sub {
    ($killed) = $server->error_log =~ /process (\d+) exited on signal 9/;
}), 'the sender dies before the second part');
$server->expect_killed($killed, 9) if $killed;
arm();
ok(wait_for(10, sub { $server->worker_pids == 2 }), 'and is replaced');
come();

my @told = up_to_fence('added');
my %n;

$n{$_}++ for @told;

is(scalar(grep { $n{$_} != 1 } keys %n), 0, 'none is told twice');
is(scalar(grep { /room-many/ } @told), CHANNELS, 'all are told');
is_deeply([ grep { !/room-many/ } @told ], \@more, 'and the others');

$t->finish;
$_->down for values %r;

done_testing();
