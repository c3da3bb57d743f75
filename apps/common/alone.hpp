// For programs that are one process: started as several by mpirun they would all write to one folder.
#pragma once

#include <cstdlib>
#include <string>
#include <string_view>

#include "lab/core/error.hpp"

namespace lab::apps {

/// @throws config_error where mpirun started several of this program
inline void require_alone(std::string_view mend) {
    for (const char* name : {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE"})
        if (const char* size = std::getenv(name); size != nullptr && std::string_view(size) != "1")
            throw config_error(explain("mpirun", "this program works as one process", std::string(mend)));
}

}  // namespace lab::apps
