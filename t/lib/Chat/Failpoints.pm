package Chat::Failpoints;

# Places where a worker dies, or a pointer of its is spoilt, in a build of the
# module of its own; see ngx_chat_module/wire/ngx_chat_failpoint.h.  nginx.conf
# needs "env CHAT_FAILPOINTS;".

use strict;
use warnings;

use Exporter 'import';

use Chat::Server qw(build_dir slurp spew);

our @EXPORT_OK = qw(FAR arm prepare passes_left);

# so many passes that nobody dies
use constant FAR => 1 << 40;

# what the workers map
use constant { ONE => 'a56 q<', SIZE => 128 };

my ($file, $owner);


# The servers that begin from now on are of that build, and have a file of this
# test.

sub prepare {
    $file = build_dir() . "/failpoints-$$";
    $owner = $$;

    spew($file, "\0" x SIZE);

    $ENV{CHAT_MODULE} = build_dir() . '/failpoints/ngx_chat_module.so';
    $ENV{CHAT_FAILPOINTS} = $file;

    return;
}


# arm(NAME => PASSES, ...), two at most: who comes to the place for so many
# times dies there.  None: nobody dies.

sub arm {
    my @all = @_;
    my $bytes = pack '(' . ONE . ')*', @all;

    # the workers have mapped it
    open my $fh, '+<:raw', $file or die "open $file: $!";
    syswrite($fh, $bytes . "\0" x (SIZE - length $bytes)) == SIZE
        or die "write $file: $!";

    return;
}


# Of each that was armed, how many are left.

sub passes_left {
    my @all = unpack '(' . ONE . ')*', slurp($file);

    return @all[grep { $_ % 2 } 0 .. $#all];
}


END {
    unlink $file if defined $file && $owner == $$;
}


1;
