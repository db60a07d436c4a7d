#!/usr/bin/perl

# A node's database in a cluster: where it is replaced under a running node, and
# where the log does not go back to it.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;

use Chat::API;
use Chat::Cluster;
use Chat::HTTP qw(from_json);
use Chat::Server qw(wait_for);

my $cluster = Chat::Cluster->new;
my ($a, $b) = map { $cluster->server($_) } qw(a b);
my @posted;


sub post {
    my ($node, @contents) = @_;

    is($cluster->post($node, $_)->{status}, 201, "node $node takes \"$_\"")
        for @contents;
    push @posted, @contents;

    return;
}


sub sqlite {
    my ($file, $sql) = @_;

    system('sqlite3', '-cmd', '.timeout 10000', $file, $sql) == 0
        or die 'sqlite3';

    return;
}


# Whether node b has so many messages; GETs are refused until it is seen.

sub has {
    my ($n) = @_;

    my $res = $cluster->http('b')->get('/messages');

    return $res->{status} == 200 && @{ from_json($res->{body}) } == $n;
}


sub replace_with {
    my ($server, $file) = @_;

    rename $file, $server->database or die "rename: $!";

    return;
}


# ---- an older copy, and an empty file, in the place of a running node's

$b->expect_log(qr/was removed or replaced under the running server/,
               qr/another file was put in place/);

post('a', 'one');
sqlite($b->database, "VACUUM INTO '" . $b->dir . "/old'");
post('a', 'two');
$cluster->same_history('at the start');

replace_with($b, $b->dir . '/old');
ok(wait_for(20, sub { has(2) }),
   'an older copy: it has what the log has');
post('b', 'three');
$cluster->same_history('an older copy');
$cluster->has_each_once('an older copy', @posted);

sqlite($b->dir . '/empty', '');
replace_with($b, $b->dir . '/empty');
ok(wait_for(20, sub { has(3) }),
   'an empty file: it has what the log has');
post('a', 'four');
post('b', 'five');
$cluster->same_history('an empty file');
$cluster->has_each_once('an empty file', @posted);


# ---- the log has a whole term that this node has seen nothing of

$_->expect_log(qr/chat cluster: the engine has lost all of it/,
               qr/chat cluster: term \d begins behind/,
               qr/chat cluster: .* the engine takes nothing/) for $a, $b;

$b->kill_all;

for my $n (1, 2) {
    $cluster->engine->command('DEL', '{chat}:meta');
    ok(wait_for(40, sub { $cluster->post('a', "term $n")->{status} == 201 }),
       'a new term begins');
}

$b->expect_log(qr/chat cluster: /);
$b->start;
ok(wait_for(20, sub {
    $b->error_log =~ /the log goes back to \d+, and this node's database has/
}), 'a node that has missed a term says that it needs a copy');
$cluster->connect('b');
is($cluster->post('b', 'no')->{status}, 503, 'and takes nothing');
is($cluster->post('a', 'yes')->{status}, 201, 'the other one goes on');

$b->kill_all;
unlink map { $b->database . $_ } '', '-wal', '-shm';
sqlite($a->database, "VACUUM INTO '" . $b->database . "'");
$b->start;
$cluster->connect('b');
ok(wait_for(40, sub { $cluster->post('b', 'last')->{status} == 201 }),
   'with a copy of the other one\'s it is in again');
$cluster->same_history('with a copy');


$cluster->finish;


# ---- the log keeps less than a node has missed

{
    my $small = Chat::Cluster->new(cluster => 'keep=1000',
                                   timeout => { b => '2s' });
    my $server = $small->server('b');
    my $api = Chat::API->new(port => $small->node('a')->port);
    my @ten = ({ name => 'tick', channel => 'chat', data => 'text' }) x 10;

    ok(wait_for(30, sub { $small->post('b', 'before')->{status} == 201 }),
       'both nodes are there');
    $server->kill_all;
    is($small->post('a', 'missed')->{status}, 201, 'one is away for a message');

    my @refused = grep { $api->batch(\@ten)->{status} != 200 } 1 .. 130;

    is(scalar @refused, 0, 'and for 1,300 events');

    $server->expect_log(qr/chat cluster: /);
    $server->start;
    $small->connect('b');
    $small->works('at the end', { 201 => [qw(before missed)] });
    like($server->error_log, qr/the log goes back to /, 'not by the log alone');
    $small->finish;
}


done_testing();
