package Chat::Locker;

# Another process that holds a database's write lock: the sqlite3 shell at the
# other end of two pipes.

use strict;
use warnings;

use IPC::Open2 ();


sub new {
    my ($class, $path) = @_;

    my $self = bless {}, $class;

    $self->{pid} = IPC::Open2::open2($self->{out}, $self->{in}, 'sqlite3',
                                     '-batch', $path);
    $self->{in}->autoflush(1);

    return $self;
}


# Runs statements and returns what they print.

sub run {
    my ($self, $sql) = @_;

    print { $self->{in} } "$sql\n.print -- done\n";

    my $text = '';
    my $out = $self->{out};

    while (my $line = <$out>) {
        return $text if $line eq "-- done\n";
        $text .= $line;
    }

    die "sqlite3 has ended";
}


sub lock {
    my ($self) = @_;

    # tells in its answer that there is a transaction now
    $self->run(".timeout 10000\nBEGIN IMMEDIATE;");
}


sub unlock { $_[0]->run('COMMIT;') }


sub finish {
    my ($self) = @_;

    close $self->{in};
    waitpid $self->{pid}, 0;

    return $?;
}


1;
