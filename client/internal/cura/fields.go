package cura

// fields are the fields of Cura's payload, by their flat names, with what becomes
// of each: imported, or dropped for a reason. A field that is not here is
// dropped as unknown.
var fields = map[string]string{
	"definition_id":                                "",
	"machine_settings_changed_by_user":             "",
	"language":                                     "",
	"os_type":                                      "",
	"active_mode":                                  "",
	"cura_version":                                 "",
	"intent_category":                              "",
	"quality_profile":                              "",
	"user_modified_setting_keys":                   "",
	"layer_height":                                 "",
	"support_enabled":                              "",
	"retraction_enable":                            "",
	"prime_tower_enable":                           "",
	"wall_line_count":                              "",
	"gradual_infill_steps":                         "",
	"adhesion_type":                                "",
	"infill_sparse_density":                        "",
	"infill_pattern":                               "",
	"print_sequence":                               "",
	"print_time_total":                             "",
	"output_to":                                    "",
	"engine_stats_time_backend":                    "",
	"extruders_active":                             "",
	"extruders_material_guid":                      "",
	"extruders_material_type":                      "",
	"extruders_material_used":                      "",
	"extruders_nozzle_size":                        "",
	"extruders_material_print_temperature":         "",
	"models_hash":                                  identifiesModel,
	"models_bounding_box_minimum_x":                identifiesModel,
	"models_bounding_box_minimum_y":                identifiesModel,
	"models_bounding_box_minimum_z":                identifiesModel,
	"models_bounding_box_maximum_x":                identifiesModel,
	"models_bounding_box_maximum_y":                identifiesModel,
	"models_bounding_box_maximum_z":                identifiesModel,
	"models_transformation":                        identifiesModel,
	"models_extruder":                              countOnly,
	"models_mime_type":                             countOnly,
	"models_settings_support_enabled":              countOnly,
	"models_settings_support_extruder_nr":          countOnly,
	"models_settings_infill_mesh":                  countOnly,
	"models_settings_cutting_mesh":                 countOnly,
	"models_settings_support_mesh":                 countOnly,
	"models_settings_anti_overhang_mesh":           countOnly,
	"models_settings_wall_line_count":              countOnly,
	"models_settings_retraction_enable":            countOnly,
	"models_settings_infill_sparse_density":        countOnly,
	"models_settings_infill_pattern":               countOnly,
	"models_settings_gradual_infill_steps":         countOnly,
	"schema_version":                               notNeeded,
	"time_stamp":                                   exactTime,
	"slice_id":                                     linksEvents,
	"organization_id":                              identifiesUser,
	"is_logged_in":                                 identifiesUser,
	"subscriptions":                                identifiesUser,
	"subscriptions_level":                          identifiesUser,
	"subscriptions_type":                           identifiesUser,
	"subscriptions_plan":                           identifiesUser,
	"cura_build_type":                              notNeeded,
	"camera_view":                                  notNeeded,
	"os_version":                                   fingerprint,
	"manufacturer":                                 derived,
	"extruders_material_brand":                     derived,
	"extruders_variant":                            "the nozzle's size says it",
	"extruders_wall_line_count":                    perJob,
	"extruders_retraction_enable":                  perJob,
	"extruders_infill_sparse_density":              perJob,
	"extruders_infill_pattern":                     perJob,
	"extruders_gradual_infill_steps":               perJob,
	"extruders_default_material_print_temperature": notNeeded,
	"print_time_travel":                            totalOnly,
	"print_time_support":                           totalOnly,
	"print_time_infill":                            totalOnly,
	"support_extruder_nr":                          notNeeded,
	"prime_tower_mode":                             notNeeded,
	"engine_stats_is_presliced":                    notNeeded,
	"engine_stats_time_setup":                      notNeeded,
}

// The reasons. The set is closed; none names a value.
const (
	identifiesModel = "identifies a model; never collected"
	identifiesUser  = "identifies a person or an organisation; never collected"
	linksEvents     = "links events; never collected"
	exactTime       = "an exact time; never collected"
	fingerprint     = "a fingerprint of the computer; never collected"
	countOnly       = "only the number of models is collected"
	totalOnly       = "only the total is collected"
	perJob          = "collected once a job"
	derived         = "follows from the catalogue"
	notNeeded       = "no published statistic needs it"

	unknownField  = "an unknown field; never collected"
	wrongType     = "not of the expected type"
	outOfRange    = "not a number in a possible range"
	notAligned    = "a list that does not fit the extruders; which value belongs to which is unknown"
	notRecognised = "not a form that is known"
	customGUID    = "not in the catalogue: sent as custom"
)

// outputs are the output devices that come with Cura, by class name.
var outputs = map[string]string{
	"LocalFileOutputDevice":                 "OUTPUT_KIND_FILE",
	"RemovableDriveOutputDevice":            "OUTPUT_KIND_REMOVABLE",
	"WindowsRemovableDriveOutputDevice":     "OUTPUT_KIND_REMOVABLE",
	"LinuxRemovableDriveOutputDevice":       "OUTPUT_KIND_REMOVABLE",
	"OSXRemovableDriveOutputDevice":         "OUTPUT_KIND_REMOVABLE",
	"USBPrinterOutputDevice":                "OUTPUT_KIND_USB",
	"LocalClusterOutputDevice":              "OUTPUT_KIND_NETWORK",
	"UltimakerNetworkedPrinterOutputDevice": "OUTPUT_KIND_NETWORK",
	"CloudOutputDevice":                     "OUTPUT_KIND_CLOUD",
	"DFFileExportAndUploadManager":          "OUTPUT_KIND_CLOUD",
	"DigitalFactoryOutputDevice":            "OUTPUT_KIND_CLOUD",
}
