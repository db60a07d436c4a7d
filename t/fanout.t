# Promises 1, 2 and 3: four workers, 200 subscribers spread over all of them,
# 2,000 messages posted over 8 connections at a time.  Each subscriber gets
# each message exactly once, all in the same order, ids ascending; pages of
# history with "after" have exactly those messages.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use POSIX ();
use Test::More;

use Chat::HTTP qw(from_json);
use Chat::Server qw(slurp);
use Chat::WebSocket qw(TEXT read_all);

# under valgrind everything is some thirty times as slow
my ($workers, $subscribers, $posters, $each)
    = $ENV{CHAT_VALGRIND} ? (4, 40, 8, 25) : (4, 200, 8, 250);
my $total = $posters * $each;

# reuseport: the kernel spreads connections over the workers
my $server = Chat::Server->new(workers => $workers, listen => 'reuseport',
                               server => 'add_header X-Worker $pid always;')
                         ->start;
my $port = $server->port;


# As many subscribers on each worker.

my (%by_worker, @subscribers);

for (1 .. 100 * $subscribers) {
    my $ws = Chat::WebSocket->established(port => $port);
    my $worker = $ws->header('X-Worker');
    my $list = $by_worker{$worker} ||= [];

    next if @$list >= $subscribers / $workers;

    $ws->subscribe('chat');
    push @$list, $ws;
    push @subscribers, $ws;
    last if @subscribers == $subscribers;
}

is(join(' ', map { scalar @$_ } values %by_worker),
   join(' ', ($subscribers / $workers) x $workers),
   "$subscribers subscribers on $workers workers");

my $bystander = Chat::WebSocket->established(port => $port);
$bystander->subscribe('elsewhere');


# The posters are processes of their own; each keeps its answers in a file.

my @children;

for my $k (1 .. $posters) {
    my $pid = fork();
    die "fork: $!" unless defined $pid;

    if ($pid) {
        push @children, $pid;
        next;
    }

    my $http = Chat::HTTP->new(port => $port, timeout => 60);
    my $ok = open my $out, '>', $server->dir . "/answers-$k";

    for my $n (1 .. $each) {
        my $res = $http->post('/messages', { content => "$k-$n" });
        $ok &&= $res->{status} == 201;
        print $out "$res->{body}\n" if $ok;
    }

    $ok &&= close $out;
    POSIX::_exit($ok ? 0 : 1);
}


# Meanwhile others join, by the recipe of the design: subscribe, wait for
# subscription_succeeded, then read history.

my (%ids, %payload, $bad, $count, @late);

$count = 0;
$_->{ids} = [] for @subscribers;

sub take {
    my ($ws, $f) = @_;

    if ($f->[0] ne TEXT) {
        $bad ||= "a frame of type $f->[0]";
        return;
    }

    my ($id) = $f->[1] =~ /"data":"\{\\"id\\":(\d+),/;

    if (!defined $id) {
        $bad ||= "a frame without a message: $f->[1]";
        return;
    }

    push @{ $ws->{ids} }, $id;
    $payload{$id} = $f->[1] unless exists $payload{$id};
    $bad ||= "two texts for message $id" if $payload{$id} ne $f->[1];
    $count++;
}

my $http = Chat::HTTP->new(port => $port);

for my $part (1 .. 5) {
    ok(read_all(60, \@subscribers, \&take,
                sub { $count >= $part / 6 * $total * $subscribers }),
       "part $part of 6 of the events");

    my $ws = Chat::WebSocket->established(port => $port);
    $ws->subscribe('chat');

    my $newest = from_json($http->get('/messages?limit=1')->{body});

    $ws->{ids} = [];
    $ws->{newest} = $newest->[0]{id};
    push @late, $ws;
}

my $done = read_all(60, \@subscribers, \&take,
                    sub { $count >= $total * $subscribers });

ok($done, "all $total x $subscribers events have come")
    or diag("$count of " . $total * $subscribers);

for my $pid (@children) {
    waitpid $pid, 0;
    is($?, 0, 'a poster got 201 for all its messages');
}

my @answers = map { split /\n/, slurp($server->dir . "/answers-$_") }
              1 .. $posters;

is(scalar @answers, $total, "$total answers");


# What the subscribers saw.

is($bad, undef, 'nothing but messages, one text for each');

my $reference = $subscribers[0]{ids};
my $order = join ' ', @$reference;

is(join(' ', sort { $a <=> $b } @$reference), $order, 'ids ascend');
is(scalar(keys %{ { map { $_ => 1 } @$reference } }), $total,
   'each message exactly once');
is(scalar(grep { join(' ', @{ $_->{ids} }) eq $order } @subscribers),
   $subscribers, 'all have the same order');
is(scalar(grep { !$_->nothing_waits } @subscribers), 0, 'and nothing more');
ok($bystander->nothing_waits, 'another channel heard nothing');

my %body = map { from_json($_)->{id} => $_ } @answers;

is(join(' ', sort { $a <=> $b } keys %body), $order,
   'the ids are those of the answers');
is(scalar(grep { from_json($payload{$_})->{data} ne $body{$_} } keys %body),
   0, "data is the answer's body, byte for byte");

my %last;
my $swapped = 0;

for my $id (@$reference) {
    my ($k, $n) = from_json($body{$id})->{content} =~ /^(\d+)-(\d+)$/;
    $swapped++ unless $n == ($last{$k} || 0) + 1;
    $last{$k} = $n;
}

is($swapped, 0, 'messages of one connection are in its order');


# Those who joined: no gap between history and events, and none among these.

for my $ws (@late) {
    my $last = $reference->[-1];

    read_all(30, [ $ws ], \&take,
             sub { ($ws->{ids}[-1] || $ws->{newest}) == $last });

    my @tail = grep { $_ >= ($ws->{ids}[0] || $last + 1) } @$reference;
    my ($next) = grep { $_ > $ws->{newest} } @$reference, $last + 1;

    is(join(' ', @{ $ws->{ids} }), join(' ', @tail),
       'one who joined later has the rest, in order');
    cmp_ok($ws->{ids}[0] || $last + 1, '<=', $next,
           'which begins where history ended, or before');
}


# History.

for my $limit (1000, 97) {
    my $all = $http->history('/messages', $limit);

    is(join(' ', map { $_->{id} } @$all), $order, "pages of $limit: the ids");
    is(scalar(grep { $_->{content}
                     ne from_json($body{ $_->{id} })->{content} } @$all),
       0, "pages of $limit: the contents");
}

my $page = $http->get("/messages?after=$reference->[9]&limit=3")->{body};

is($page, '[' . join(',', map { $body{$_} } @{$reference}[10 .. 12]) . ']',
   'a page is made of the same texts as the answers');

$server->finish;

done_testing();
