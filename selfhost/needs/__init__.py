"""The needs of a model, itemised: spec x runtime x workload -> Needs. Pure arithmetic: no function
reads the machine. The names that other packages use are imported here.
"""

from .case import (
    Case,
    Companions,
    is_cast,
    is_in_plain_type,
    is_made_of,
    loads_published,
)
from .estimate import (
    case_for,
    count,
    counted_parameters,
    decode_bytes_by_type,
    in_batches,
    more_in_conversation,
    needs_in_batches,
    needs_on,
    read_shares,
    why_cache_type_refused,
)
from .file_formats import (
    EVERY_QUANTIZATION,
    canonical_quantization,
    default_format_and_quantization,
    quantizations_of,
    takes_text_alone,
    type_of_tag,
    weights_files,
    why_not_loaded,
    why_untold,
)
from .llamacpp.companions import OWN_BLOCK, vocabularies_differ, why_no_own_block
from .llamacpp.files import files_of_maker
from .llamacpp.memory import MAKERS_IN_RAM
from .llamacpp.tensor_split import MOST_SPLIT, why_split_refused
from .llamacpp.weights import why_experts_unplaced
from .tensors import (
    UNKNOWN_ROW,
    ArchitectureRow,
    ParameterCounts,
    row_of,
    trained_tokens,
)
from .weight_files import loaded_bits
