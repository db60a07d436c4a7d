# Backups of the running server, as conf/operating.md has them: the copy has
# every message that was acknowledged before it began, is whole, and a server
# that is given it has another epoch and goes on with the ids.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use POSIX ();
use Test::More;

use Chat::HTTP qw(from_json);
use Chat::Server qw(slurp wait_for);

use constant POSTERS => 3;

my $server = Chat::Server->new(workers => 2, listen => 'reuseport')->start;
my $path = $server->database;
my $dir = $server->dir;
my (@pids, @files);


# Posts until the file "stop" is there; an answer is written down at once.

sub poster {
    my ($name, $file) = @_;

    my $pid = fork();
    die "fork: $!" unless defined $pid;
    return $pid if $pid;

    open my $out, '>>', $file;
    $out->autoflush(1);

    my $http = Chat::HTTP->new(port => $server->port, timeout => 60);

    for (my $n = 1; !-e "$dir/stop"; $n++) {
        my $res = $http->post('/messages', { content => "$name-$n" });

        print $out $res->{status} == 201 ? from_json($res->{body})->{id}
                                         : "status $res->{status}", "\n";
    }

    POSIX::_exit(0);
}


sub acknowledged {
    return map { -f $_ ? grep { length } slurp($_) =~ /^(.*)\n/mg : () } @files;
}


# The exit status and all that the shell says.

sub sqlite {
    my ($file, @commands) = @_;

    my $text = '';

    open my $fh, '-|', 'sqlite3', $file, @commands or die "sqlite3: $!";
    $text .= $_ while <$fh>;
    close $fh;

    return ($?, $text);
}


sub number {
    my ($file, $sql) = @_;

    my ($status, $text) = sqlite($file, $sql);

    chomp $text;

    return $text;
}


for my $i (1 .. POSTERS) {
    push @files, "$dir/poster-$i";
    push @pids, poster("p$i", $files[-1]);
}

wait_for(20, sub { acknowledged() > 100 }) or die 'nobody posts';

my %backups = (
    vacuum => "VACUUM INTO '$dir/vacuum.db'",
    backup => ".backup '$dir/backup.db'",
);

for my $name (sort keys %backups) {
    my $copy = "$dir/$name.db";
    my @before = acknowledged();
    my ($status, $text) = sqlite($path, '.timeout 10000', $backups{$name});

    is($status, 0, "$name: the shell is content");
    is($text, '', "$name: and has nothing to say");

    my $after = acknowledged();
    my %have = map { $_ => 1 }
               split /\n/, (sqlite($copy, 'SELECT id FROM messages'))[1];

    cmp_ok($after, '>', scalar @before, "$name: messages come meanwhile");
    is(join(' ', grep { !$have{$_} } @before), '',
       "$name: it has all that was acknowledged before");
    is(number($copy, 'PRAGMA integrity_check'), 'ok', "$name: it is whole");
    is(number($copy, 'PRAGMA user_version'),
       number($path, 'PRAGMA user_version'), "$name: it has the schema");
}

is((sqlite($path, "VACUUM INTO '$dir/last.db'"))[0], 0, 'one more');

# so that there is something to lose
my $count = number("$dir/last.db", 'SELECT count(*) FROM messages');
wait_for(20, sub { acknowledged() > $count + 20 });

Chat::Server::spew("$dir/stop", '');
waitpid $_, 0 for @pids;

is(join(' ', grep { /status/ } acknowledged()), '',
   'every POST was taken, backups or not');


# conf/operating.md's steps
my $http = Chat::HTTP->new(port => $server->port);
my $old = $http->get('/messages?limit=1')->{headers}{'chat-epoch'};

$server->stop('QUIT');
unlink "$path-wal", "$path-shm";
is(system('cp', "$dir/last.db", $path), 0, 'copied back');
is((sqlite($path, "DELETE FROM meta WHERE key = 'epoch'"))[0], 0,
   'its epoch taken out');
$server->start;

$http = Chat::HTTP->new(port => $server->port);

my @restored = map { $_->{id} } @{ $http->history('/messages') };

is(scalar @restored, $count, 'history is that of the backup');

my $new = $http->get('/messages?limit=1')->{headers}{'chat-epoch'};

like($new, qr/^[0-9a-f]{32}$/, 'it has an epoch');
isnt($new, $old, 'which is another one');

my $res = $http->post('/messages', { content => 'after the restore' });

is($res->{status}, 201, 'and messages are taken');
is(from_json($res->{body})->{id}, $restored[-1] + 1,
   'their ids follow those of the backup');

$server->finish;

done_testing();
