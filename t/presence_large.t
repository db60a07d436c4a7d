# A presence channel of many members on four workers: every list is complete
# and agrees with itself, and what member_added and member_removed tell agrees
# with the lists.
#
# Each member is told of each later one, half a square in all: 10,000 take some
# minutes, with CHAT_WHOLE or CHAT_MEMBERS=10000; 3,000 half a minute.  It is
# smaller under valgrind, and where this process may not open so many sockets.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use POSIX ();
use Test::More;
use Time::HiRes qw(time);

use Chat::HTTP qw(from_json from_text);
use Chat::Pusher qw(member channel_auth send_subscribe subscribe_to
                    join_presence users_of);
use Chat::Server qw(SCALE wait_for);

my $n = $ENV{CHAT_MEMBERS} || ($ENV{CHAT_VALGRIND} ? 200
                                 : $ENV{CHAT_WHOLE} ? 10000 : 3000);
my $most = POSIX::sysconf(POSIX::_SC_OPEN_MAX()) - 200;

if ($n > $most) {
    diag("$most members, since ulimit -n is no higher");
    $n = $most;
}

my $channel = 'presence-large';
my $step = 100;

my $t = Chat::Pusher->new(workers => 4, zone => '64m',
                          connections => $n + 100,
                          more => 'chat_send_buffer 16m;'
                                  . 'chat_activity_timeout 1h;');


# Observers keep books; they read everything, the others read and forget.

my @observers = map {
    my $ws = $_;
    my $p = join_presence($ws, $channel, 'o' . $ws->socket_id);

    $ws->{book} = { map { $_ => 1 } @{$p->{ids}} };
    $ws;
} $t->spread(4);

my (%by_fd, $readers, @members, $bad);
$readers = '';

sub watch {
    my ($ws) = @_;

    my $fd = fileno $ws->socket;

    $by_fd{$fd} = $ws;
    vec($readers, $fd, 1) = 1;
    $ws->socket->blocking(0);
}


sub book {
    my ($ws) = @_;

    for my $f ($ws->parse) {
        my $e = from_json($f->[1]);
        my $id = from_text($e->{data})->{user_id};

        if ($e->{event} eq 'pusher_internal:member_added') {
            $bad ||= "$id comes twice" if $ws->{book}{$id}++;

        } elsif ($e->{event} eq 'pusher_internal:member_removed') {
            $bad ||= "$id goes, but was not there"
                unless delete $ws->{book}{$id};

        } else {
            $bad ||= $f->[1];
        }
    }
}


# The answer to a joiner comes first, and is kept; then all is forgotten.

sub take {
    my ($ws) = @_;

    my $got = sysread $ws->socket, $ws->{buffer}, 1048576,
                      length $ws->{buffer};

    if (!$got) {
        return if !defined $got && $!{EAGAIN};
        $bad ||= 'a connection has ended';
        vec($readers, fileno $ws->socket, 1) = 0;
        return;
    }

    return book($ws) if $ws->{book};

    if ($ws->{answered}) {
        $ws->{buffer} = '';
        return;
    }

    # the length says whether the whole answer is there
    my ($b1) = unpack 'x C', $ws->{buffer};
    return unless defined $b1;
    my ($head, $len) = $b1 < 126 ? (2, $b1)
                     : $b1 == 126 ? (4, unpack 'x2 n', $ws->{buffer})
                                  : (10, unpack 'x2 Q>', $ws->{buffer});
    return unless defined $len && length $ws->{buffer} >= $head + $len;

    $ws->{answered} = substr $ws->{buffer}, $head, $len;
    $ws->{buffer} = '';
}


sub read_until {
    my ($seconds, $done) = @_;

    my $end = time() + $seconds * SCALE;

    while (!$done->()) {
        return 0 if time() > $end || $bad;

        my $ready = $readers;

        next unless select $ready, undef, undef, 0.05;

        my $bits = unpack 'b*', $ready;
        my $fd = -1;

        take($by_fd{$fd}) while ($fd = index $bits, '1', $fd + 1) >= 0;
    }

    return !$bad;
}


# Of a joiner's list: how many it has, or what is wrong with it.  JSON::PP is
# too slow for so many; the ids here need no escapes.

sub count_of {
    my ($text) = @_;

    $text =~ /^\{"event":"pusher_internal:subscription_succeeded"/
        or return $text;
    $text =~ s/\\"/"/g;

    my ($count) = $text =~ /"count":(\d+)/ or return 'no count';
    my ($ids) = $text =~ /"ids":\[([^\]]*)\]/ or return 'no ids';

    my %ids = map { $_ => 1 } $ids =~ /"([^"]+)"/g;
    my %hash = map { $_ => 1 } $text =~ /"((?:user-|o)[\d.]+)":\{/g;

    return "count $count, but " . keys(%ids) . ' ids'
        if keys %ids != $count || $ids =~ tr/,/,/ != $count - 1;
    return "count $count, but a hash of " . keys %hash
        if keys %hash != $count || grep { !$hash{$_} } keys %ids;

    return $count;
}


watch($_) for @observers;
is(join(' ', map { scalar keys %{$_->{book}} } @observers), '1 2 3 4',
   'four observers');
read_until(10, sub { !grep { keys %{$_->{book}} != 4 } @observers });

my $start = time();
my @seconds;

while (@members < $n && !$bad) {
    my $begin = time();
    my $have = @members;
    my @batch;

    for my $i ($have .. ($have + $step > $n ? $n : $have + $step) - 1) {
        my $ws = $t->ws;

        $ws->{user} = "user-$i";
        watch($ws);
        push @batch, $ws;
    }

    send_subscribe($_, $channel, data => member($_->{user}, { n => 'x' }))
        for @batch;

    read_until(300, sub { !grep { !$_->{answered} } @batch })
        or $bad ||= 'a joiner without an answer at ' . $have;
    last if $bad;

    push @members, @batch;
    push @seconds, time() - $begin;

    # each list of them has between all before the step, and all behind it
    for my $ws ($have % ($step * 10) ? ($batch[0], $batch[-1]) : @batch) {
        my $count = count_of($ws->{answered});

        $bad ||= "a list of $count, with $have before"
            unless $count =~ /^\d+$/ && $count > $have + 4
                   && $count <= @members + 4;
    }

    # a set of 1 .. step: no two see the same number
    $_->{answered} = 1 for @batch;
}

is($bad, undef, "$n members join, lists agree");
is(scalar @members, $n, "$n are there");
diag(sprintf '%d members in %.1f s, the first %d in %.2f s, the last in %.2f s',
     $n, time() - $start, $step, $seconds[0], $seconds[-1]);

ok(read_until(300, sub { !grep { keys %{$_->{book}} != $n + 4 } @observers }),
   'every observer has been told of every member, once');
is($t->status->{members}, $n + 4, 'chat_status counts them');


# A fresh one sees them all.

my @all = (map({ $_->{user} } @members), map { 'o' . $_->socket_id }
           @observers);

sub fresh_list {
    my ($id) = @_;

    my $ws = $t->ws;
    my $p = join_presence($ws, $channel, $id);

    return ($ws, users_of($p), $p);
}

my ($fresh, $list, $p) = fresh_list('fresh');

ok($list eq join(' ', sort 'fresh', @all), 'a fresh list has all of them')
    or diag(substr $list, 0, 200);
is_deeply($p->{hash}{'user-0'}, { n => 'x' }, 'with their user_info');

# unsubscribing has no answer: it is done when others have been told

ok(read_until(10, sub { !grep { !$_->{book}{fresh} } @observers }),
   'observers are told that it comes');
$fresh->unsubscribe($channel);
ok(read_until(10, sub { !grep { $_->{book}{fresh} } @observers }),
   'and that it goes');


# A second socket of one user changes nothing.

($fresh, $list) = fresh_list('user-7');
ok($list eq join(' ', sort @all), 'a second socket of one');
$fresh->unsubscribe($channel);


# Most of them leave: some by unsubscribing, some by closing, some by dying.

my @left = splice @members, 0, int($n * 0.9);
my $i = 0;

for my $ws (@left) {
    if ($i++ % 3 == 0) {
        $ws->unsubscribe($channel);
        next;
    }

    delete $by_fd{ fileno $ws->socket };
    vec($readers, fileno $ws->socket, 1) = 0;
    $ws->send_close(1000) if $i % 3 == 1;
    $ws->disconnect;
}

ok(read_until(300, sub {
    !grep { keys %{$_->{book}} != @members + 4 } @observers }),
   'every observer is told who leaves')
    or diag(join ' ', $bad || '', map { scalar keys %{$_->{book}} } @observers);

@all = (map({ $_->{user} } @members), map { 'o' . $_->socket_id } @observers);
($fresh, $list) = fresh_list('last');
ok($list eq join(' ', sort 'last', @all), 'a fresh list has those that stay');

ok(read_until(10, sub { !grep { !$_->{book}{last} } @observers }),
   'who are told of it');
is(join(' ', map { join(',', sort keys %{$_->{book}})
                   eq join(',', sort 'last', @all) ? 'agree' : 'differ' }
        @observers), 'agree agree agree agree',
   "the observers' books agree with the list");

$t->finish;

done_testing();
