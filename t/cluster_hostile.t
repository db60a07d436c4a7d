#!/usr/bin/perl

# An engine that lies to nodes, to each in one kind of answer.  No worker dies of
# it, memory is bounded, the node takes no message and says why; and when the engine
# is honest again, the node works.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Chat::Cluster;
use Chat::Engine;
use Chat::HTTP qw(json_bytes);
use Chat::Liar qw(resp);
use Chat::Server qw(slurp wait_for);

my $deep = '*1' . "\r\n*1" x 99 . "\r\n:1\r\n";
my $large = 600 * 1024 * 1024;


# An answer of these bytes to a command of that name; the script's, to append.

sub says {
    my ($command, @bytes) = @_;

    return sub {
        my ($words, $tree) = @_;

        return is_command(@_, $command) ? @bytes > 1 ? [ @bytes ] : $bytes[0]
                                        : undef;
    };
}


sub is_command {
    my ($words, $tree, $command) = @_;

    return $words->[0] eq $command if $command ne 'append';

    return $words->[0] =~ /^EVAL/ && $tree->[0] eq '*'
           && @{ $tree->[1] } == 2
           && $tree->[1][1][1] =~ /^[0-9a-f]{16} \d+ \d/;
}


# Field N of meta is something else.

sub meta {
    my ($n, $value) = @_;

    return sub {
        my ($words, $tree) = @_;

        return if $words->[0] ne 'HMGET' || !defined $tree->[1][0][1];
        $tree->[1][$n] = [ '$', $value ];
        return resp($tree);
    };
}


# The first entry of an XREAD, changed: a function of its id and its fields gives
# what they are then.

sub entry {
    my ($change) = @_;

    return sub {
        my ($words, $tree) = @_;

        return if $words->[0] ne 'XREAD' || !defined $tree->[1];

        my $entry = $tree->[1][0][1][1][1][0][1];
        my ($id, @fields) = $change->($entry->[0][1],
                                      map { $_->[1] } @{ $entry->[1][1] });

        $entry->[0][1] = $id;
        $entry->[1][1] = [ map { [ '$', $_ ] } @fields ];

        return resp($tree);
    };
}


sub field {
    my ($name, $change) = @_;

    return entry(sub {
        my ($id, %fields) = @_;

        $fields{$name} = $change->($fields{$name});

        return ($id, %fields);
    });
}


# What append answers: nonce, time, numbers.

sub appended {
    my ($change) = @_;

    return sub {
        my ($words, $tree) = @_;

        return if !is_command(@_, 'append');
        $tree->[1][1][1] = $change->($tree->[1][1][1]);
        return resp($tree);
    };
}


# [ NAME, LIE, THE LOG'S LINE ]

my $no_resp = qr/what it answers is no RESP/;
my $no_meta = qr/its key "meta" is none of this module's/;
my $no_entry = qr/an entry of the log is none of this module's/;
my $no_item = qr/an item of the log is none of this module's/;
my $not_far = qr/the log does not go back far enough/;
my $no_script = qr/it gives an answer that the script does not make/;
my $too_large = qr/its answer is too large/;
my $no_read = qr/it gives an answer to XREAD that is none/;

my @lies = (
    [ 'ROLE: a number', says('ROLE', ":5\r\n"), qr/it is not the primary/ ],
    [ 'ROLE: a replica', says('ROLE', "*1\r\n\$5\r\nslave\r\n"),
      qr/it is not the primary/ ],
    [ 'ROLE: an error', says('ROLE', "-ERR \x01\nhello \xff\r\n"),
      qr/ERR \?\?hello \?$/m ],

    [ 'meta: a number', says('HMGET', ":5\r\n"), $no_meta ],
    [ 'meta: OK', says('HMGET', "+OK\r\n"), $no_meta ],
    [ 'meta: an empty list', says('HMGET', "*0\r\n"), $no_meta ],
    [ 'meta: nil', says('HMGET', "*-1\r\n"), $no_meta ],
    [ 'meta: no RESP', says('HMGET', "HTTP/1.1 400 Bad Request\r\n\r\n"),
      $no_resp ],
    [ 'meta: an error', says('HMGET', "-NOAUTH who are you\r\n"),
      qr/NOAUTH who are you/ ],
    [ 'meta: an answer too much', says('HMGET', "*0\r\n*0\r\n"),
      qr/it answers more than it was asked/ ],
    [ 'meta: a term of nothing', meta(0, ''), $no_meta ],
    [ 'meta: a term of 0', meta(0, 0), $no_meta ],
    [ 'meta: a negative number', meta(1, '-5'), $no_meta ],
    [ 'meta: a huge number', meta(1, '9' x 18), $no_meta ],
    [ 'meta: a longer number', meta(1, '9' x 40), $no_meta ],
    [ 'meta: a zero byte', meta(1, "5\0"), $no_meta ],
    [ 'meta: a long nonce', meta(2, 'a' x 17), $no_meta ],
    [ 'meta: an id that ends a line', meta(5, "a\r\nb" . 'c' x 28), $no_meta ],
    [ 'meta: an epoch that ends a header', meta(6, "a\r\nX: y" . 'c' x 25),
      $no_meta ],
    [ 'meta: an epoch that is SQL',
      meta(6, sprintf '%-32s', "'); DELETE FROM messages; --"), $no_meta ],
    [ 'meta: a place that is none', meta(9, 'x'), $no_meta ],
    [ 'meta: an offer of nonsense', meta(10, '-1'), $no_meta ],
    [ 'meta: a newer format', meta(11, '2'), qr/of a newer version/ ],

    [ 'XREAD: OK', says('XREAD', "+OK\r\n"), $no_read ],
    [ 'XREAD: a number', says('XREAD', ":5\r\n"), $no_read ],
    [ 'XREAD: an empty list', says('XREAD', "*0\r\n"), $no_read ],
    [ 'XREAD: lists of nothing', says('XREAD', "*1\r\n*2\r\n*0\r\n*0\r\n"),
      $no_read ],
    [ 'XREAD: an entry that is none',
      says('XREAD', "*1\r\n*2\r\n+log\r\n*1\r\n:5\r\n"), $no_entry ],
    [ 'XREAD: an error', says('XREAD', "-ERR no\r\n"), qr/ERR no/ ],
    [ 'XREAD: no RESP', says('XREAD', "\0" x 100), $no_resp ],
    [ 'XREAD: nested too deep', says('XREAD', $deep), $no_resp ],
    [ 'XREAD: a long text', says('XREAD', "\$$large\r\n", 'x' x 65536),
      qr/$too_large|no answer in time/ ],
    [ 'XREAD: a list of endless numbers',
      says('XREAD', "*1000000000\r\n", ":1\r\n" x 16384),
      qr/$too_large|no answer in time/ ],
    [ 'XREAD: a huge list', says('XREAD', "*2147483647\r\n", ''),
      $too_large ],
    [ 'XREAD: a list of less than nothing', says('XREAD', "*-5\r\n"),
      qr/$no_resp|$no_read/ ],
    [ 'XREAD: a line without an end', says('XREAD', '+', 'x' x 65536),
      qr/$too_large|no answer in time/ ],
    # the first alone is "nothing", where there is something
    [ 'XREAD: answers without end', says('XREAD', "*-1\r\n", "*-1\r\n" x 10000),
      qr/it answers more than it was asked|$not_far/ ],

    [ 'an entry: no id', entry(sub { shift; ('', @_) }), $no_entry ],
    [ 'an entry: an id of one number', entry(sub { shift; ('5', @_) }),
      $no_entry ],
    [ 'an entry: a huge id', entry(sub { shift; ('1-' . '9' x 19, @_) }),
      $no_entry ],
    [ 'an entry: no fields', entry(sub { $_[0] }), $no_entry ],
    [ 'an entry: a gap before it',
      entry(sub { my $id = shift; ($id =~ s/-(\d+)/'-' . ($1 + 1)/er, @_) }),
      qr/the log goes back to \d+/ ],
    [ 'an entry: one that was before',
      entry(sub { my $id = shift; ($id =~ s/-.*/-1/r, @_) }),
      qr/the log has other entries/ ],
    [ 'an entry: of an older term', entry(sub { shift; ('0-5', @_) }),
      qr/of an older term/ ],
    [ 'an entry: behind another one', field('p', sub { 'f' x 16 }),
      qr/the log has other entries/ ],
    [ 'an entry: a nonce of 0', field('k', sub { '0' x 16 }), $no_entry ],
    [ 'an entry: a time of nonsense', field('t', sub { '-1' }), $no_entry ],
    [ 'an entry: a huge time', field('t', sub { '9' x 18 }), $no_entry ],
    [ 'an entry: no items', field('c', sub { 0 }), $no_entry ],
    [ 'an entry: more items than numbers', field('c', sub { '9' x 15 }),
      $no_entry ],
    [ 'an entry: cut', field('d', sub { substr $_[0], 0, -1 }), $no_item ],
    [ 'an entry: longer', field('d', sub { "$_[0]\0" }), $no_item ],
    [ 'an entry: an item too much', field('d', sub { $_[0] x 2 }), $no_item ],
    [ 'an entry: no kind of item',
      field('d', sub { substr($_[0], 4, 1) = "\xff"; $_[0] }), $no_item ],
    [ 'an entry: an item of 4 GB',
      field('d', sub { substr($_[0], 0, 4) = "\xff" x 4; $_[0] }), $no_item ],

    [ 'append: OK', says('append', "+OK\r\n"), $no_script ],
    [ 'append: a number', says('append', ":5\r\n"), $no_script ],
    [ 'append: nil', says('append', "\$-1\r\n"), $no_script ],
    [ 'append: a word', says('append', "*1\r\n\$4\r\nWHAT\r\n"), $no_script ],
    [ 'append: OK alone', says('append', "*1\r\n\$2\r\nOK\r\n"), $no_script ],
    [ 'append: OK and a number', says('append', "*2\r\n\$2\r\nOK\r\n:5\r\n"),
      $no_script ],
    [ 'append: no number', appended(sub { $_[0] =~ s/ \d+$//r }), $no_script ],
    [ 'append: a number more', appended(sub { "$_[0] 7" }), $no_script ],
    [ 'append: a negative number', appended(sub { $_[0] =~ s/\d+$/-5/r }),
      $no_script ],
    [ 'append: a huge number', appended(sub { $_[0] =~ s/\d+$/'9' x 18/er }),
      $no_script ],
    [ 'append: a huge time',
      appended(sub { $_[0] =~ s/ \d+/' ' . '9' x 18/er }), $no_script ],
    [ 'append: a repeated one of no time', appended(sub { "$_[0]\@" }),
      $no_script ],
    [ 'append: of another batch', appended(sub { $_[0] =~ s/^.{8}/ffffffff/r }),
      $no_script ],
    [ 'append: nested too deep', says('append', $deep), $no_resp ],
    [ 'append: a long text', says('append', "*2\r\n\$$large\r\n", 'x' x 65536),
      $too_large ],
    [ 'append: an error', says('append', "-ERR no\r\n"), qr/ERR no/ ],
    [ 'append: READONLY, as Redis 6.2 says it in a script',
      says('append', "-ERR Error running script (call to f_0): \@user_script:1:"
                     . " \@user_script: 1: -READONLY You can't write\r\n"),
      qr/READONLY/ ],
    [ 'append: none of the cluster', says('append', "*1\r\n\$4\r\nNONE\r\n"),
      qr/the engine (?:takes nothing|has not answered)/ ],
);

my %lies = map { $_->[0] => $_->[1] } @lies;
my @liars = qw(a c d e f g);
my $engine = Chat::Engine->new;
my %liar = map { $_ => Chat::Liar->new($engine->port, %lies) } @liars;
my $cluster = Chat::Cluster->new(
    nodes => [ @liars, 'b' ], engine => $engine, proxy => { %liar },
    workers => 1, timeout => { map { $_ => '1s' } @liars },
);
my (%got, $serial);

$cluster->server($_)->expect_log(
    qr/chat cluster: the log has other entries before \d+/) for @liars;


# Posts to nodes at a time; what came of it.

sub post {
    my (@nodes) = @_;

    my %content = map { $_ => 'message ' . ++$serial } @nodes;

    for my $node (@nodes) {
        my $http = $cluster->http($node);

        $http->send_raw($http->format_request('POST', '/messages',
            { 'Content-Type' => 'application/json' },
            json_bytes({ content => $content{$node} })));
    }

    my @status = map { $cluster->http($_)->read_response('POST')->{status} }
                 @nodes;

    push @{ $got{$status[$_]} }, $content{$nodes[$_]} for 0 .. $#nodes;

    return @status;
}


# The most that a worker of a node has had, in MB.

sub peak {
    my ($node) = @_;

    my ($pid) = $cluster->server($node)->worker_pids;
    my ($kb) = slurp("/proc/$pid/status") =~ /^VmHWM:\s+(\d+)/m;

    return $kb / 1024;
}


$cluster->works('at the start', \%got);

my %pid = map { $_ => $cluster->server($_)->worker_pids } @liars;

# a lie for each liar, at a time
while (my @now = splice @lies, 0, scalar @liars) {
    my @nodes = @liars[0 .. $#now];
    my @before = map { length $cluster->server($_)->error_log } @nodes;

    $liar{$nodes[$_]}->tell($now[$_][0]) for 0 .. $#now;
    is(join(' ', post('b')), 201, 'the honest node takes a message');

    my @status = post(@nodes);

    for my $i (0 .. $#now) {
        my ($node, $server) = ($nodes[$i], $cluster->server($nodes[$i]));
        my ($name, undef, $line) = @{ $now[$i] };
        my $appends = $name =~ /^append/;

        # the last of several attempts may have had no time
        my $late = $appends ? qr/has: no answer in time/ : $line;

        ok(wait_for(30, sub {
            return 1 if $liar{$node}->told > 0
                        && substr($server->error_log, $before[$i])
                           =~ /chat cluster: .*(?:$line|$late)/m;

            # it may have come to no append at all
            $status[$i] .= ' ' . (post($node))[0] if $appends;

            return 0;
        }), "$name: the node says why")
            or diag(substr $server->error_log, $before[$i], 1000);
        like($status[$i], qr/^50[34](?: 50[34])*$/, 'and takes nothing');
        is(join(' ', $server->worker_pids), $pid{$node}, 'no worker has died');
        cmp_ok(peak($node), '<', 320, 'memory is bounded');
    }

    $liar{$_}->tell('') for @nodes;
    ok(wait_for(20, sub { (post($_))[0] == 201 }), "node $_ works again")
        for @nodes;
}

$cluster->works('at the end', \%got);
$cluster->finish;

done_testing();
